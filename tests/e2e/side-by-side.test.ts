import { once } from "node:events";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identification } from "#observe/supervisord.ts";
import { readTools } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { lightSections, withService } from "../support/light.ts";
import { localChain, type Chain } from "../support/local-chain.ts";
import { identityOf, isAlive, signal, type Identity } from "../support/processes.ts";
import { describeCases, itWhere, runtimes } from "../support/runtimes.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

const cases = runtimes.map((runtime) => ({ runtime }));

describeCases(cases, "two clones with the same places, one of them with two stacks, in: $runtime", ({ runtime }) => {
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
    here = testStack(one, "twin", await lightSections(runtime));
    second = testStack(one, "second", await lightSections(runtime));
    there = testStack(other, runtime === "host" ? "twin" : "other-twin", await lightSections(runtime));
  });

  afterAll(async () => {
    for (const stack of [here, second, there]) await stack[Symbol.asyncDispose]();
    one[Symbol.dispose]();
  });

  it("come up at the same time and stay apart", async () => {
    const ups = await Promise.all([here, second, there].map((stack) => engineroom.run(stack, "up")));
    for (const { exitCode, output } of ups) expect(exitCode, output).toBe(0);
    expect(new Set([here, second, there].map(({ places }) => places.owner)).size).toBe(3);
    const running = await Promise.all([here, second, there].map((stack) => stack.running()));
    expect(new Set(running.flatMap((services) => Object.values(services))).size).toBe(9);
    for (const stack of [here, second, there]) {
      const { exitCode, output } = await engineroom.run(stack, "preview", "--expect-no-changes");
      expect(exitCode, output).toBe(0);
    }
  });

  const ownerOfPage = async (): Promise<string> =>
    runtime === "host"
      ? `process ${(await here.pids())["page"]?.pid ?? 0}`
      : `container ${(await here.containers())["page"]?.Name.slice(1) ?? ""}`;

  it("say whose port it is", async () => {
    const light = await lightSections(runtime);
    const who = await ownerOfPage();
    const port = Number((await fetchOutputs(here)).page.port);
    await using clash = testStack(other, "clash", withService(light, "page", { port }));
    for (const verb of ["preview", "up"] as const) {
      const { exitCode, output } = await engineroom.run(clash, verb);
      expect(exitCode, output).toBe(1);
      expect(output).toContain(`services.page.port: expected port ${port} to be free, got ${who} (`);
      expect(output).toContain(`which belongs to engineroom stack ${here.places.owner}.`);
    }
  });

  // Names of containers are the engine's, and it has one of each.
  itWhere(runtime === "container")("refuse the same name in another clone, with both owners", async () => {
    await using clash = testStack(other, "twin", await lightSections(runtime));
    const before = await here.containers();
    const { exitCode, output } = await engineroom.run(clash, "up");
    expect(exitCode, output).toBe(1);
    for (const service of ["base", "page", "side", "once"]) {
      const id = before[service]?.Id.slice(0, 12) ?? "";
      expect(output).toContain(
        `services.${service}: expected no container ${here.name}-${service}, or one of owner ${clash.places.owner}, got ${id} (`,
      );
    }
    expect(output.match(new RegExp(`\\) of owner ${here.places.owner}\\. Fix: `, "g"))).toHaveLength(4);
    expect(await here.containers()).toEqual(before);
  });

  it("leave each other alone when one is destroyed", async () => {
    const [hereBefore, secondBefore] = [await here.running(), await second.running()];
    const destroyed = await engineroom.run(there, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(there.processes()).toEqual([]);
    expect(await there.holdings()).toEqual(NOTHING);
    expect(await here.running()).toEqual(hereBefore);
    expect(await second.running()).toEqual(secondBefore);
  });

  it("one stack of a clone goes, the other stays", async () => {
    const secondBefore = await second.running();
    const destroyed = await pulumi.run(here, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(here.processes()).toEqual([]);
    expect(await here.holdings()).toEqual(NOTHING);
    expect(await second.running()).toEqual(secondBefore);
  });
});

describeWithDocker("stack local and stack dev", () => {
  let clone: Checkout;
  let chains: Readonly<Record<"local" | "dev", Chain>>;
  let local: TestStack;
  let dev: TestStack;

  beforeAll(async () => {
    clone = checkout();
    chains = { local: await localChain("host"), dev: await localChain("container") };
    local = testStack(clone, "local", chains.local.sections);
    dev = testStack(clone, "dev", chains.dev.sections);
  });

  afterAll(async () => {
    await local[Symbol.asyncDispose]();
    await dev[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  const health = async ({ url }: Chain): Promise<number> => (await fetch(`${url}/api/health`)).status;

  it("come up and work side by side, each at an edge of its own", async () => {
    const ups = await Promise.all([local, dev].map((stack) => engineroom.run(stack, "up")));
    for (const { exitCode, output } of ups) expect(exitCode, output).toBe(0);
    expect(await Promise.all([chains.local, chains.dev].map(health))).toEqual([200, 200]);
    const previews = [local, dev].map((stack) => engineroom.run(stack, "preview", "--expect-no-changes"));
    for (const { exitCode, output } of await Promise.all(previews)) expect(exitCode, output).toBe(0);
  });

  it("leave each other alone when one is destroyed", async () => {
    const before = await local.running();
    const destroyed = await engineroom.run(dev, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await local.running()).toEqual(before);
    expect(await health(chains.local)).toBe(200);
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
