import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exportLines, pulumiEnvironment } from "#setup/environment.ts";
import type { Tools } from "#setup/tools.ts";
import { hostPlaces, projectPlaces } from "#stack/places.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom 100% environment "));
  mkdirSync(join(dir, "toolchain"));
  writeFileSync(join(dir, "toolchain", "pulumi"), "", { mode: 0o755 });
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function tools(): Tools {
  const pulumi = join(dir, "toolchain", "pulumi");
  return {
    node: { path: process.execPath, version: "24.0.0", source: "packages" },
    pulumi: { path: pulumi, version: "3", source: "packages", env: { PULUMI_HOME: "/cache/home" } },
  };
}

function environment(env: Readonly<Record<string, string>>) {
  const host = hostPlaces(
    { ENGINEROOM_STATE_HOME: join(dir, "state"), ENGINEROOM_CACHE_HOME: join(dir, "cache") },
    1000,
  );
  const project = projectPlaces(host, "/src/engineroom");
  return { project, variables: pulumiEnvironment({ host, project, tools: tools(), env }) };
}

describe("pulumiEnvironment", () => {
  it("sets all that Pulumi needs", () => {
    const { project, variables } = environment({ PATH: "/usr/bin" });
    expect(variables).toEqual({
      PATH: `${dirname(process.execPath)}:${join(dir, "toolchain")}:/usr/bin`,
      PULUMI_HOME: "/cache/home",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      PULUMI_BACKEND_URL: pathToFileURL(project.backendDir).href,
      PULUMI_CONFIG_PASSPHRASE_FILE: project.passphraseFile,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_SUPPRESS_NEO_LINK: "true",
      PULUMI_PARALLEL: "64",
      PULUMI_CONTINUE_ON_ERROR: "true",
      NODE_COMPILE_CACHE: join(dir, "cache", "node-compile-cache"),
    });
  });

  it("makes the state directory for its owner alone", () => {
    const { project } = environment({});
    expect(statSync(project.backendDir).mode & 0o777).toBe(0o700);
  });

  it("has nothing to add to its own result", () => {
    const { variables } = environment({ PATH: "/usr/bin" });
    const again = environment(variables).variables;
    expect(again).toEqual({});
  });

  it("keeps what the user has set", () => {
    const own = {
      PATH: "/usr/bin",
      PULUMI_BACKEND_URL: "s3://bucket",
      PULUMI_CONFIG_PASSPHRASE: "mine",
      PULUMI_PARALLEL: "4",
    };
    const { variables } = environment(own);
    expect(variables).not.toHaveProperty("PULUMI_BACKEND_URL");
    expect(variables).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE_FILE");
    expect(variables).not.toHaveProperty("PULUMI_PARALLEL");
  });

  it("replaces what the env of another checkout has set", () => {
    const other = join(dir, "state", "0123456789ab");
    const { project, variables } = environment({
      PATH: "/usr/bin",
      PULUMI_BACKEND_URL: pathToFileURL(`${other}/pulumi`).href,
      PULUMI_CONFIG_PASSPHRASE_FILE: `${other}/passphrase`,
    });
    expect(variables["PULUMI_BACKEND_URL"]).toBe(pathToFileURL(project.backendDir).href);
    expect(variables["PULUMI_CONFIG_PASSPHRASE_FILE"]).toBe(project.passphraseFile);
  });
});

describe("exportLines", () => {
  it("quotes for a POSIX shell", () => {
    expect(exportLines({ A: "it's $HOME", B: "" })).toBe("export A='it'\\''s $HOME'\nexport B=''\n");
  });
});
