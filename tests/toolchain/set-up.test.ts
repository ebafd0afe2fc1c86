import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setUp } from "#setup/setup.ts";
import { commandPlugin } from "#setup/toolchain/layout.ts";
import { readTools, toolsFile } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";

let root: string;

// Does not prove: what `./engineroom setup` installs; the other tests run on that.
describe("a set-up that may not install", () => {
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "engineroom-set-up-"));
    const { "docker-plugin": _, ...tools } = readTools(hostPlaces(process.env, process.getuid?.() ?? 0).cacheDir);
    const home = join(root, "home");
    cpSync(dirname(commandPlugin(tools.pulumi?.env?.["PULUMI_HOME"] ?? "")), dirname(commandPlugin(home)), {
      recursive: true,
    });
    const pulumi = { ...tools.pulumi, env: { PULUMI_HOME: home } };
    const { cacheDir } = hostPlaces(environment(), process.getuid?.() ?? 0);
    mkdirSync(cacheDir, { recursive: true });
    writeFileSync(toolsFile(cacheDir), JSON.stringify({ ...tools, pulumi }));
  });

  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  it("is content without the docker plugin", async () => {
    expect(Object.keys(await setUp({ ...options(), parts: "all" }))).not.toContain("docker-plugin");
  });

  it("says how to get the docker plugin, where it is asked for", async () => {
    await expect(setUp({ ...options(), parts: ["docker-plugin"] })).rejects.toMatchObject({
      code: "SETUP_MISSING",
      message: "docker-plugin: expected Pulumi's docker plugin 5.2.0, got none.",
      fix: "./engineroom setup --docker, or pulumi plugin install resource docker v5.2.0",
    });
  });
});

function options() {
  const projectDir = join(import.meta.dirname, "..", "..");
  return { install: false, projectDir, report: () => undefined, env: environment() };
}

function environment(): NodeJS.ProcessEnv {
  const homes = Object.fromEntries(
    ["CACHE", "STATE", "RUNTIME"].map((name) => [`ENGINEROOM_${name}_HOME`, join(root, name)]),
  );
  return { ...process.env, ...homes };
}
