import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, start, type Running } from "../support/driver.ts";
import { engine, NOTHING } from "../support/engine.ts";
import { exported } from "../support/exported.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { imageOf, programsIn } from "../support/light.ts";
import { freePort } from "../support/ports.ts";
import { allProcesses, isAlive, processesWith, signal, type Process } from "../support/processes.ts";
import { testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

/** The issue's own bound. */
const CTRL_C_SECONDS = 10;

/** Of the slow build alone; another run of these tests at the same time has another one. */
const SLEEP = `sleep 300.${process.pid}`;

foreignersStayUntouched();

describeWithDocker("an up of containers that is cut short", () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeEach(async () => {
    clone = checkout();
    mkdirSync(join(clone.dir, "slow-app"));
    const own = programsIn("container");
    const waiting = "while [ ! -e /tmp/go ]; do sleep 0.1; done";
    const serve = 'exec python3 -m http.server "$1" --bind 0.0.0.0';
    stack = testStack(clone, "cut", {
      settings: { in: "container" },
      services: {
        built: { kind: "process", build: "./slow-app", command: ["sleep", "100000"] },
        task: { kind: "job", ...own, command: ["sh", "-c", waiting] },
        slow: {
          kind: "process",
          ...own,
          port: await freePort(),
          command: ["sh", "-c", `${waiting}; ${serve}`, "sh", "${self.port}"],
        },
      },
    });
  });

  afterEach(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  function build(pace: "slow" | "fast"): void {
    const run = pace === "slow" ? `RUN ${SLEEP}\n` : "RUN true\n";
    writeFileSync(join(clone.dir, "slow-app", "Dockerfile"), `FROM ${imageOf("python")}\n${run}`);
  }

  async function nextUpCompletes(): Promise<string> {
    build("fast");
    await using up = await start(engineroom, stack, "up");
    const { exitCode, output } = await endOf(up, () => letGo(stack));
    expect(exitCode, output).toBe(0);
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(Object.keys(await stack.running())).toEqual(["built", "slow"]);
    return output;
  }

  async function destroysWhole(): Promise<void> {
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await stack.holdings()).toEqual(NOTHING);
  }

  it("ends by SIGINT while a build, a job and a wait are under way, and the next up completes", async () => {
    build("slow");
    await using up = await start(engineroom, stack, "up");
    await until(
      "build, job and wait to begin",
      () =>
        builds().length > 0 && ["slow", "task"].every((name) => up.output().includes(`Ready ${name}-ready creating`)),
      60_000,
    );
    const began = performance.now();
    up.interrupt();
    const { exitCode, output } = await endOf(up);
    expect((performance.now() - began) / 1000, output).toBeLessThan(CTRL_C_SECONDS);
    expect(exitCode, output).toBe(130);
    await until("every part of the command to end", () => commandsOf(clone).length === 0, 5000);
    await until("the build to end", () => builds().length === 0, 5000);
    expect((await exported(stack)).pending_operations).toEqual([]);
    expect(Object.keys(await stack.running())).toEqual(["slow"]);
    await nextUpCompletes();
    await destroysWhole();
  });

  it("is explained, cleared and completed after a SIGKILL between a container and its place in the state", async () => {
    build("fast");
    await using up = await start(engineroom, stack, "up");
    await until("the first container", async () => (await stack.holdings()).containers.length > 0, 60_000);
    const [pulumi] = commandsOf(clone).filter(({ argv }) => /^(\S*\/)?pulumi up /.test(argv));
    signal(pulumi!, "SIGKILL");
    expect((await endOf(up)).exitCode).toBe(1);
    await until("plugins and language host to end", () => commandsOf(clone).length === 0, 5000);

    const { resources, pending_operations: pending } = await exported(stack);
    const known = resources.filter(({ urn }) => urn.includes("$docker:index/container:Container::"));
    const made = Object.keys(await stack.containers());
    expect(made.length).toBeGreaterThan(known.length);
    expect(JSON.stringify(pending)).toContain("-container");

    const output = await nextUpCompletes();
    expect(output).toContain(`cleared the lock of a run that died: process ${pulumi?.pid ?? 0} of `);
    expect(output).toMatch(/the last run was killed while creating \w+-container/);
    await destroysWhole();
  });

  // A destroy writes Pulumi's state at its end alone: what the state knows after the kill is all that stood before.
  it("is destroyed whole by the next destroy, when one was killed between two containers", async () => {
    const own = programsIn("container");
    stack.write({
      settings: { in: "container" },
      services: {
        quick: { kind: "process", ...own, command: ["sleep", "100000"] },
        held: {
          kind: "process",
          ...own,
          stopGrace: "10s",
          command: ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
        },
      },
    });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    await using destroy = await start(engineroom, stack, "destroy");
    await until("one of them to go", async () => !("quick" in (await stack.containers())), 60_000);
    const [pulumi] = commandsOf(clone).filter(({ argv }) => /^(\S*\/)?pulumi destroy /.test(argv));
    signal(pulumi!, "SIGKILL");
    expect((await endOf(destroy)).exitCode).toBe(1);
    await until("plugins and language host to end", () => commandsOf(clone).length === 0, 20_000);
    const { resources } = await exported(stack);
    const known = resources.filter(({ urn }) => urn.includes("$docker:index/container:Container::"));
    expect(known.map(({ urn }) => urn.split("::").at(-1)).sort()).toEqual(["held-container", "quick-container"]);
    await destroysWhole();
  });
});

/** Waits for a command's end, and says what it said where that does not come. */
async function endOf(up: Running, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<Ended> {
  let ended: Ended | undefined;
  void up.ended.then((end) => (ended = end));
  try {
    return await until(
      "the command to end",
      async () => {
        await meanwhile();
        return ended;
      },
      120_000,
    );
  } catch (error) {
    throw new Error(up.output(), { cause: error });
  }
}

/** Lets every container that waits go on. */
async function letGo(stack: TestStack): Promise<void> {
  const running = Object.values(await stack.containers()).filter(({ State }) => State.Status === "running");
  await Promise.allSettled(
    running.map(async ({ Id }) => {
      const json = { Cmd: ["touch", "/tmp/go"] };
      const exec = await engine<{ readonly Id: string }>({ method: "POST", path: `/containers/${Id}/exec`, json });
      await engine({ method: "POST", path: `/exec/${exec.Id}/start`, json: { Detach: true } });
    }),
  );
}

const builds = (): readonly Process[] => allProcesses().filter(({ argv }) => argv === SLEEP);

/** Everything that the command line has started and that lives: pulumi, its plugins, the language host. */
const commandsOf = ({ env }: Checkout): readonly Process[] =>
  processesWith(`ENGINEROOM_STATE_HOME=${env["ENGINEROOM_STATE_HOME"] ?? ""}`).filter(isAlive);
