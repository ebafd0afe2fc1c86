import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildToolchain } from "#setup/toolchain.ts";
import { explainBuild } from "#setup/toolchain/build.ts";
import { cliModule, commandModule, dockerKey, dockerModule, sourcesKey } from "#setup/toolchain/sources.ts";
import { checkPackages, commandVersion, pulumiVersion } from "#setup/toolchain/versions.ts";

// Does not prove: that the Go modules compile. Whoever runs the conformance tests on our toolchain has seen that.
describe("building the toolchain", () => {
  it("has one version in the Go module and in the packages", () => {
    const versions = readFileSync(join(cliModule, "go.mod"), "utf8").matchAll(/pulumi\/(?:sdk|pkg)\/v3 v(\S+)/g);
    expect([...versions].map((match) => match[1])).toEqual([pulumiVersion, pulumiVersion]);
    expect(readFileSync(join(commandModule, "go.mod"), "utf8")).toContain("pulumi-go-provider v1.3.2");
    expect(readFileSync(join(dockerModule, "go.mod"), "utf8")).toContain("pulumi-terraform-bridge/v3 v3.137.0");
    expect(sourcesKey()).toMatch(/^[0-9a-f]{12}$/);
    expect(dockerKey()).toMatch(/^[0-9a-f]{12}$/);
  });

  it("names a package of another version", () => {
    const dir = mkdtempSync(join(tmpdir(), "engineroom-packages-"));
    try {
      for (const [name, version] of [
        ["pulumi", "3.258.0"],
        ["command", commandVersion],
      ] as const) {
        mkdirSync(join(dir, "@pulumi", name), { recursive: true });
        writeFileSync(join(dir, "@pulumi", name, "package.json"), JSON.stringify({ version }));
      }
      expect(() => checkPackages(dir)).toThrow(`@pulumi/pulumi: expected version 3.259.0 in ${dir}, got 3.258.0`);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("shows the end of what go said", () => {
    const output = Array.from({ length: 40 }, (_, line) => `line ${line}`).join("\n");
    const words = explainBuild("part", `${output}\n`);
    expect(words.split("\n")[0]).toBe("part: expected `go build` to succeed, got:");
    expect(words.trimEnd().split("\n").slice(1)).toHaveLength(15);
    expect(words).toContain("  line 39\n");
  });

  it("leaves nothing behind when go fails", async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), "engineroom-build-"));
    const nodeModules = join(import.meta.dirname, "..", "..", "node_modules");
    try {
      const built = buildToolchain({ cacheDir, nodeModules, go: "/bin/false", report: () => undefined });
      await expect(built).rejects.toThrow("expected `go build` to succeed");
      expect(() => readFileSync(join(cacheDir, "toolchain", sourcesKey(), "toolchain.json"))).toThrow("ENOENT");
    } finally {
      rmSync(cacheDir, { recursive: true });
    }
  });
});
