import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { activeToolchain } from "#tests/toolchain/support/active.ts";
import { descendants, eventually, type Process, survivors } from "#tests/toolchain/support/processes.ts";
import { Project } from "#tests/toolchain/support/project.ts";

/** The official programs ask only every five minutes whether the engine lives. */
const goneMs = activeToolchain().ours ? 5_000 : 330_000;

// Does not prove: a whole machine that loses power.
describe("when pulumi is ended", () => {
  it.each(["program", "command"] as const)("one SIGINT during a slow %s ends everything soon", async (what) => {
    await using project = await Project.make("slow");
    const { run, processes } = await startSlow(project, what);
    const signalled = performance.now();
    run.kill("SIGINT");
    const ended = await run;
    expect(performance.now() - signalled).toBeLessThan(10_000);
    expect(ended.exitCode, ended.all).not.toBe(0);
    expect(await leftOver(processes)).toEqual([]);
    expect(project.state()).not.toContain('"pending_operations"');
  });

  it.each(["program", "command", "dynamic"] as const)("SIGKILL during a slow %s leaves no process", async (what) => {
    await using project = await Project.make("slow");
    const { run, processes } = await startSlow(project, what);
    run.kill("SIGKILL");
    await run;
    expect(await leftOver(processes)).toEqual([]);
  });
});

/** What outlived its engine, ended now so that a failed test leaves nothing. */
async function leftOver(processes: readonly Process[]): Promise<readonly string[]> {
  const alive = await survivors(processes, goneMs);
  for (const one of alive) process.kill(one.pid, "SIGKILL");
  return alive.map((one) => one.command);
}

/** Runs until the slow thing has begun. */
async function startSlow(project: Project, what: string) {
  const run = project.start(["up", "--yes", "--skip-preview"], { STEP: what });
  await eventually(`a slow ${what}`, 30_000, () => existsSync(join(project.dir, "started")) || undefined);
  const processes = descendants(run.pid ?? 0);
  expect(processes.map((one) => one.command).join("\n")).toContain("pulumi-language-nodejs");
  return { run, processes };
}
