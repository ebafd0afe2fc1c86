import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { z } from "zod";
import type { Project } from "#tests/toolchain/support/project.ts";
import { operations } from "#tests/toolchain/support/steps.ts";

/** What `steps.json` beside a program says: one run of pulumi after the other, and what each must leave. */
const Steps = z.array(
  z.strictObject({
    run: z.enum(["up", "preview", "refresh", "destroy"]),
    /** The program sees it as STEP. */
    step: z.string(),
    code: z.number().default(0),
    operations: z.array(z.string()).optional(),
    outputs: z.record(z.string(), z.unknown()).optional(),
    /** Lines of the file `log`. */
    log: z.array(z.string()).optional(),
    /** The log's lines come from resources that do not depend on each other: given sorted. */
    anyOrder: z.boolean().default(false),
    files: z.record(z.string(), z.string()).optional(),
    says: z.array(z.string()).default([]),
    stateLacks: z.array(z.string()).default([]),
  }),
);
type Step = z.infer<typeof Steps>[number];

const flags = {
  up: ["--yes", "--skip-preview", "--json"],
  preview: ["--json"],
  refresh: ["--yes", "--skip-preview", "--json"],
  destroy: ["--yes", "--skip-preview", "--json"],
} as const;

/** Runs the steps of a project's program and compares what each says and leaves. */
export async function runSteps(project: Project): Promise<void> {
  const steps = Steps.parse(JSON.parse(readFileSync(join(project.dir, "steps.json"), "utf8")));
  for (const [index, step] of steps.entries()) {
    await check(project, step, `run ${index + 1}: ${step.run} of step ${step.step}`);
  }
}

async function check(project: Project, step: Step, where: string): Promise<void> {
  const ended = await project.pulumi([step.run, ...flags[step.run]], { STEP: step.step });
  expect(ended.code, `${where}\n${ended.text}`).toBe(step.code);
  for (const words of step.says) expect(ended.text, where).toContain(words);
  if (step.operations !== undefined) expect(operations(step.run, ended), where).toEqual(step.operations);
  if (step.outputs !== undefined) expect(await project.outputs(), where).toEqual(step.outputs);
  if (step.log !== undefined) {
    const log = project.log();
    expect(step.anyOrder ? [...log].sort() : log, where).toEqual(step.anyOrder ? [...step.log].sort() : step.log);
  }
  for (const [name, text] of Object.entries(step.files ?? {})) {
    expect(readFileSync(join(project.dir, name), "utf8"), where).toBe(text);
  }
  for (const words of step.stateLacks) expect(project.state(), where).not.toContain(words);
}
