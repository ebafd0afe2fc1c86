import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, it } from "vitest";
import { Project } from "#tests/toolchain/support/project.ts";
import { runSteps } from "#tests/toolchain/support/run-steps.ts";

const programs = globSync(join(import.meta.dirname, "programs", "*", "steps.json"))
  .map((file) => basename(dirname(file)))
  // Those need a container engine: docker.test.ts runs them.
  .filter((program) => !program.startsWith("docker"));

// Does not prove: remote commands, other operating systems.
describe.concurrent("programs with expected steps", () => {
  it.each(programs.sort())("%s", async (program) => {
    await using project = await Project.make(program);
    await runSteps(project);
  });
});
