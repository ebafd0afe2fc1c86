import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nodeModules, Project } from "#tests/toolchain/support/project.ts";

// Does not prove: packs in TypeScript, which the SDK loads by its old compiler.
describe("a policy pack in JavaScript", () => {
  it("runs in its own directory and refuses what it should", async () => {
    await using project = await Project.make("policed");
    symlinkSync(nodeModules, join(project.dir, "pack", "node_modules"));
    const refused = await project.pulumi(["preview", "--policy-pack", "pack"], { STEP: "bad" });
    expect(refused.code, refused.text).toBe(1);
    expect(refused.text).toContain("conformance@v0.3.0");
    expect(refused.text).toContain("dev has a bad command");
    const passed = await project.pulumi(["preview", "--policy-pack", "pack"]);
    expect(passed.code, passed.text).toBe(0);
  });
});
