import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithDocker } from "#tests/support/docker.ts";
import { allProcesses } from "#tests/support/processes.ts";
import { Project } from "#tests/toolchain/support/project.ts";
import { dockerPluginIsOurs } from "#tests/toolchain/support/active.ts";
import { dockerProject, leftInEngine, removeFromEngine, sweepEngine } from "#tests/toolchain/support/docker.ts";
import { descendants, eventually, survivors } from "#tests/toolchain/support/processes.ts";
import { runSteps } from "#tests/toolchain/support/run-steps.ts";

const up = ["up", "--yes", "--skip-preview"];

// Does not prove: pulls, swarms, GPUs, engines other than the one that answers here.
describeWithDocker("the docker plugin", () => {
  beforeAll(sweepEngine);
  afterAll(sweepEngine);

  it("builds, runs, shows, replaces and deletes what a program asks for", async () => {
    await using project = await dockerProject("docker");
    await runSteps(project);
    expect(await leftInEngine()).toEqual([]);
    expect(readFileSync(join(project.dir, "build.log"), "utf8")).toContain('echo "step 2"');
  });

  it("knows every resource of its package", async () => {
    await using project = await Project.make("docker-kinds");
    await runSteps(project);
  });

  it("deletes what is gone already", async () => {
    await using project = await dockerProject("docker");
    const made = await project.pulumi(up);
    expect(made.code, made.text).toBe(0);
    const left = await leftInEngine();
    expect(left.map((path) => path.split("/")[1])).toEqual([
      "containers",
      "containers",
      "networks",
      "volumes",
      "images",
    ]);
    await removeFromEngine(left);
    const ended = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(ended.code, ended.text).toBe(0);
  });

  it("keeps the output of a failed build in its log, and no image", async () => {
    await using project = await dockerProject("docker-build");
    const ended = await project.pulumi(up, { STEP: "broken" });
    expect(ended.code).toBe(1);
    expect(ended.text).toContain("exit code: 7");
    const log = readFileSync(join(project.dir, "build.log"), "utf8");
    expect(log).toMatch(/ words on stdout$/m);
    expect(log).toMatch(/ words on stderr$/m);
    expect(await leftInEngine()).toEqual([]);
  });

  // By its source, the official plugin sees a build through.
  it.skipIf(!dockerPluginIsOurs())("ends a build at the first SIGINT", async () => {
    await using project = await dockerProject("docker-build");
    const { run } = await startSlowBuild(project);
    const signalled = performance.now();
    run.kill("SIGINT");
    const ended = await run;
    expect(performance.now() - signalled).toBeLessThan(10_000);
    expect(ended.exitCode, ended.all).toBe(1);
    expect(project.state()).not.toContain("docker:index/remoteImage:RemoteImage");
    expect(project.state()).not.toContain('"pending_operations"');
    await eventually("the end of the build", 5_000, () => building().length === 0 || undefined);
  });

  it.skipIf(!dockerPluginIsOurs())("ends a pull at the first SIGINT", async () => {
    await using project = await dockerProject("docker-pull");
    const asked = Promise.withResolvers<undefined>();
    // Accepts and never answers.
    const registry = createServer(() => asked.resolve(undefined)).listen(0, "127.0.0.1");
    await once(registry, "listening");
    const { port } = registry.address() as AddressInfo;
    const run = project.start(up, { STEP: `127.0.0.1:${port}` });
    try {
      await Promise.race([asked.promise, endOf(run)]);
      const signalled = performance.now();
      run.kill("SIGINT");
      const ended = await run;
      expect(performance.now() - signalled).toBeLessThan(10_000);
      expect(ended.exitCode, ended.all).toBe(1);
    } finally {
      registry.close();
    }
  });

  it.skipIf(!dockerPluginIsOurs())("ends with its engine, and so does the build", async () => {
    await using project = await dockerProject("docker-build");
    const { run } = await startSlowBuild(project);
    const processes = descendants(run.pid ?? 0);
    expect(processes.map((one) => one.command).join("\n")).toContain("pulumi-resource-docker");
    run.kill("SIGKILL");
    await run;
    expect(await survivors(processes, 5_000)).toEqual([]);
    await eventually("the end of the build", 5_000, () => building().length === 0 || undefined);
  });
});

const building = () => allProcesses().filter(({ argv }) => argv === `sleep 97.${process.pid}`);

async function startSlowBuild(project: Project) {
  const run = project.start(up, { STEP: "slow" });
  await Promise.race([endOf(run), eventually("a slow build", 30_000, () => building().length > 0 || undefined)]);
  return { run };
}

/** Fails when it ends, which it must not do of itself. */
function endOf(run: ReturnType<Project["start"]>): Promise<never> {
  const ended = run.then(({ all }) => expect.unreachable(`it has ended:\n${all}`));
  ended.catch(() => undefined);
  return ended;
}
