import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import { realpathSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findToolchain } from "#setup/toolchain.ts";
import { activeToolchain } from "#tests/toolchain/support/active.ts";
import { nodeModules } from "#tests/toolchain/support/project.ts";

// Does not prove: a host with several versions of Pulumi side by side.
describe("the host's toolchain", () => {
  const { pulumi, home } = activeToolchain();
  const path = ["/nowhere", dirname(pulumi), "/usr/bin", "/bin"].join(":");
  const find = (env: NodeJS.ProcessEnv) =>
    findToolchain({
      cacheDir: join(tmpdir(), "engineroom-never-made"),
      nodeModules,
      env,
      sources: ["host"],
      report: () => undefined,
      go: () => Promise.reject(new Error("nothing is built here")),
    });

  it("is taken where it is complete", async () => {
    const found = await find({ PATH: path, PULUMI_HOME: home });
    expect(found).toMatchObject({ source: "host", pulumi: realpathSync(pulumi), home });
  });

  it.each([
    ["is not on PATH", { PATH: "/usr/bin:/bin", PULUMI_HOME: home }],
    ["lacks the command plugin", { PATH: path, PULUMI_HOME: "/nowhere", HOME: "/nowhere" }],
  ])("is not taken where it %s", async (_, env) => {
    await expect(find(env)).rejects.toThrow("pulumi 3.259.0: expected one source to have it, got host: none.");
  });
});
