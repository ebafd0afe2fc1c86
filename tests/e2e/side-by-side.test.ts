import { once } from "node:events";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identification } from "#observe/supervisord.ts";
import { readTools } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { lightSections } from "../support/light.ts";
import { identityOf, isAlive, signal, type Identity } from "../support/processes.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

describe("two clones with the same places, one of them with two stacks", () => {
  let one: Checkout;
  let other: Checkout;
  /** `here` and `there` bear the same name. */
  let here: TestStack;
  let there: TestStack;
  let second: TestStack;

  beforeAll(async () => {
    one = checkout();
    // A path of more than 90 characters: no socket may lie below it.
    other = checkout({ beside: one, name: "other".padEnd(80, "-long") });
    here = testStack(one, "twin", await lightSections());
    second = testStack(one, "second", await lightSections());
    there = testStack(other, "twin", await lightSections());
  });

  afterAll(async () => {
    for (const stack of [here, second, there]) await stack[Symbol.asyncDispose]();
    one[Symbol.dispose]();
  });

  it("come up at the same time and stay apart", async () => {
    const ups = await Promise.all([here, second, there].map((stack) => engineroom.run(stack, "up")));
    for (const { exitCode, output } of ups) expect(exitCode, output).toBe(0);
    expect(new Set([here, second, there].map(({ places }) => places.owner)).size).toBe(3);
    const pids = await Promise.all([here, second, there].map((stack) => stack.pids()));
    expect(new Set(pids.flatMap((services) => Object.values(services).map(({ pid }) => pid))).size).toBe(9);
    for (const stack of [here, second, there]) {
      const { exitCode, output } = await engineroom.run(stack, "preview", "--expect-no-changes");
      expect(exitCode, output).toBe(0);
    }
  });

  it("say whose port it is", async () => {
    const { services } = await lightSections();
    const { pid } = (await here.pids())["page"]!;
    const port = Number((await fetchOutputs(here)).page.port);
    await using clash = testStack(other, "clash", { services: { ...services, page: { ...services.page, port } } });
    for (const verb of ["preview", "up"] as const) {
      const { exitCode, output } = await engineroom.run(clash, verb);
      expect(exitCode, output).toBe(1);
      expect(output).toContain(`services.page.port: expected port ${port} to be free, got process ${pid} (`);
      expect(output).toContain(`which belongs to engineroom stack ${here.places.owner}.`);
    }
  });

  it("leave each other alone when one is destroyed", async () => {
    const [hereBefore, secondBefore] = [await here.pids(), await second.pids()];
    const destroyed = await engineroom.run(there, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(there.processes()).toEqual([]);
    expect(await here.pids()).toEqual(hereBefore);
    expect(await second.pids()).toEqual(secondBefore);
  });

  it("one stack of a clone goes, the other stays", async () => {
    const secondBefore = await second.pids();
    const destroyed = await pulumi.run(here, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(here.processes()).toEqual([]);
    expect(await second.pids()).toEqual(secondBefore);
  });
});

describe("somebody else's supervisord on our socket", () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeAll(async () => {
    clone = checkout();
    stack = testStack(clone, "socket", await lightSections());
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("is refused by preview, up and plain pulumi, and goes on", async () => {
    await using stranger = await foreignSupervisord(stack);
    for (const run of [
      () => engineroom.run(stack, "preview"),
      () => engineroom.run(stack, "up"),
      () => pulumi.run(stack, "up"),
    ]) {
      const { exitCode, output } = await run();
      expect(exitCode, output).not.toBe(0);
      expect(output).toContain(
        `${stack.places.supervisorSocket}: expected supervisord of ${stack.places.owner}, got that of stranger. Fix: end it where it was started`,
      );
    }
    expect(isAlive(stranger)).toBe(true);
    expect(existsSync(stack.places.stackDir)).toBe(false);
  });

  it("survives a destroy of ours, which ends our own programs by proof", async () => {
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const supervisor = await stack.supervisor();
    signal(supervisor, "SIGKILL");
    await until("supervisord to end", () => !isAlive(supervisor));

    await using stranger = await foreignSupervisord(stack);
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    expect(isAlive(stranger)).toBe(true);
    expect(await identification(stack.places.supervisorSocket)).toBe("stranger");
  });
});

/** A supervisord of nobody's stack, on the very socket where ours would be. */
async function foreignSupervisord({ places, checkout: { base } }: TestStack): Promise<Identity & AsyncDisposable> {
  const { supervisord } = readTools(hostPlaces(process.env, process.getuid?.() ?? 0).cacheDir);
  const config = join(base, "stranger.conf");
  mkdirSync(places.runDir, { recursive: true });
  writeFileSync(
    config,
    `[supervisord]
identifier=stranger
logfile=${base}/stranger.log
pidfile=${base}/stranger.pid
[unix_http_server]
file=${places.supervisorSocket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
`,
  );
  const argv = ["-i", "PATH=/usr/bin:/bin", supervisord?.path ?? "", "--nodaemon", "-c", config];
  const child = spawn("/usr/bin/env", argv, { cwd: "/", stdio: "ignore", detached: true });
  await until("the strange supervisord to answer", () =>
    identification(places.supervisorSocket).then(
      (name) => name === "stranger",
      () => false,
    ),
  );
  const identity = identityOf(child.pid ?? 0);
  if (identity === undefined) throw new Error("the strange supervisord has ended");
  return {
    ...identity,
    [Symbol.asyncDispose]: async () => {
      const gone = once(child, "exit");
      if (child.kill("SIGTERM")) await gone;
    },
  };
}

/** What plain `pulumi stack output` says. */
async function fetchOutputs(stack: TestStack): Promise<Readonly<Record<"page", { readonly port: string }>>> {
  const { stdout } = await stack.run([
    "/bin/sh",
    "-c",
    'eval "$(./engineroom --stack "$0" env)" && pulumi stack output services --json',
    stack.name,
  ]);
  return JSON.parse(stdout) as Readonly<Record<"page", { readonly port: string }>>;
}
