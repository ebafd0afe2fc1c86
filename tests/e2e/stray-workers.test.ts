import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { askRedis } from "#checks/redis.ts";
import type { WorkersAudit } from "#operations/workers.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { startStrangerContainer } from "../support/containers.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { identityOf, isAlive, signal, type Identity } from "../support/processes.ts";
import { describeCases, type Runtime } from "../support/runtimes.ts";
import { runJobs, startJobs, type TestServer } from "../support/servers.ts";
import { passwordFile, testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";
import { workerSections, type WorkerPlaces } from "../support/worker-stack.ts";

// Who takes work from a stack's broker, and who of them may be ended: with real workers of the stack and of others.

foreignersStayUntouched();

let clone: Checkout;
let stack: TestStack;
let port: number;

async function bringUp(places: WorkerPlaces): Promise<void> {
  clone = checkout();
  port = await freePort();
  stack = testStack(
    clone,
    "strays",
    workerSections(places, port, {
      // Without supervisord there is nobody to read what it prints, which keeps Celery from ending by itself.
      tasks: { stopGrace: "8s" },
    }),
  );
  const up = await engineroom.run(stack, "up");
  expect(up.exitCode, up.output).toBe(0);
}

async function takeDown(): Promise<void> {
  await stack[Symbol.asyncDispose]();
  clone[Symbol.dispose]();
}

const workers = (...args: readonly string[]): Promise<Ended> =>
  stack.run(["./engineroom", "--stack", stack.name, "workers", ...args]);

async function audit(exitCode = 0): Promise<WorkersAudit["brokers"][number]> {
  const ended = await workers("--json");
  expect(ended.exitCode, ended.output).toBe(exitCode);
  const [broker, ...others] = (JSON.parse(ended.stdout) as WorkersAudit).brokers;
  expect(others).toEqual([]);
  expect(broker).toMatchObject({ service: "broker", address: `127.0.0.1:${port}` });
  return broker!;
}

/** One line a program, sorted. */
const linesOf = ({ consumers }: Awaited<ReturnType<typeof audit>>): readonly string[] =>
  consumers.map(({ owner, service, framework }) => `${owner} ${service ?? "-"} ${framework ?? "?"}`).sort();

const OWN = ["own acts dramatiq", "own later rq", "own poller other", "own tasks celery"];

const broker = () => ({ port, password: stack.password("broker").trim() });

const dramatiq = ["dramatiq", "jobs.dramatiq", "--processes", "1", "--threads", "1"];

/** Waits until it consumes. */
async function startForeign(
  argv: readonly string[],
  options: Parameters<typeof startJobs>[2] = {},
): Promise<TestServer & { readonly identity: Identity }> {
  const server = await startJobs(broker(), argv, options);
  const before = server.pid;
  await until(`${argv[0]} to consume`, async () =>
    (await workersNow()).some(({ pid }) => pid === before || pid === null),
  );
  return { ...server, identity: identityOf(server.pid)! };
}

async function workersNow() {
  const { stdout } = await workers("--json");
  return (JSON.parse(stdout) as WorkersAudit).brokers.flatMap(({ consumers }) =>
    consumers.filter(({ owner }) => owner === "foreign"),
  );
}

describe("on the host", () => {
  const opened: AsyncDisposable[] = [];
  const keep = <Server extends AsyncDisposable>(server: Server): Server => {
    opened.push(server);
    return server;
  };

  beforeAll(() => bringUp({ broker: "host", workers: "host" }));
  afterEach(async () => {
    for (const server of opened.splice(0)) await server[Symbol.asyncDispose]();
  });
  afterAll(takeDown);

  it("names the stack's own, each with its first process", async () => {
    const pids = await stack.pids();
    const found = await audit();
    expect(linesOf(found)).toEqual(OWN);
    expect(found).toMatchObject({ verdict: "good", reasons: [] });
    for (const { service, pid, processes, cwd, startedAt } of found.consumers) {
      expect(pid).toBe(pids[service!]?.pid);
      expect(processes).toBeLessThanOrEqual(3);
      expect(cwd).toMatch(/builds\/worker-/);
      expect(Math.abs(Date.now() - Date.parse(startedAt!))).toBeLessThan(600_000);
    }
  });

  it("warns of one stranger, names it, and ends it not", async () => {
    const { dir, pid, identity } = keep(await startForeign(dramatiq));
    const found = await audit();
    expect(linesOf(found)).toEqual(["foreign - dramatiq", ...OWN]);
    expect(found).toMatchObject({
      verdict: "warning",
      reasons: ["4 processes of Dramatiq where 3 are declared", "1 program that no service of the stack runs"],
    });
    expect(found.consumers.find(({ owner }) => owner === "foreign")).toMatchObject({
      pid,
      processes: 2,
      cwd: dir,
      container: null,
      claims: null,
      command: expect.stringContaining("dramatiq jobs.dramatiq --processes 1") as string,
    });
    const ended = await workers("end-strays", "--yes");
    expect(ended.exitCode, ended.output).toBe(0);
    expect(ended.output).toContain("nothing of this stack is left over");
    expect(isAlive(identity)).toBe(true);
  });

  it("is alarmed by several", async () => {
    for (let count = 0; count < 2; count += 1) keep(await startForeign(dramatiq));
    const found = await audit(1);
    expect(found.verdict).toBe("critical");
    expect(linesOf(found)).toEqual(["foreign - dramatiq", "foreign - dramatiq", ...OWN]);
  });

  it("is alarmed by another node of the same name", async () => {
    const name = `tasks@${stack.name}`;
    keep(await startForeign(["celery", "-A", "jobs", "worker", "-n", name, "-P", "solo"]));
    const found = await audit(1);
    expect(found.reasons).toContain(`several nodes of Celery are called ${name}, and answer as one`);
  });

  it("ends what is left over of this stack once its task is done, and nobody who copied its mark", async () => {
    const pids = await stack.pids();
    const mark = readFileSync(`/proc/${pids["acts"]!.pid}/environ`, "utf8")
      .split("\0")
      .find((line) => line.startsWith("ENGINEROOM_INSTANCE="))!
      .slice("ENGINEROOM_INSTANCE=".length);
    const copy = keep(await startForeign(dramatiq, { env: { ENGINEROOM_INSTANCE: mark, ENGINEROOM_SERVICE: "acts" } }));
    const supervisor = await stack.supervisor();
    signal(supervisor, "SIGKILL");
    await until("supervisord to end", () => !isAlive(supervisor));

    const found = await audit();
    expect(linesOf(found)).toEqual(["foreign - dramatiq", ...OWN.map((line) => line.replace("own", "left-over"))]);
    const { owner } = stack.places;
    expect(found.consumers.find(({ pid }) => pid === copy.pid)).toMatchObject({ owner: "foreign", claims: owner });

    const place = { host: "127.0.0.1", port, passwordFile: passwordFile(stack.places, "broker") };
    const trace = async (): Promise<string> =>
      JSON.stringify(await askRedis(place, AbortSignal.timeout(5000), [["LRANGE", "jobs:trace", "0", "-1"]]));
    await runJobs(broker(), ["celery", "-A", "jobs", "call", "jobs.celery.take", "--args", '["last", 5]']);
    await until("the task's begin", async () => (await trace()).includes("last begin"));

    const refused = await workers("end-strays");
    expect(refused.exitCode, refused.output).toBe(2);
    expect(refused.output).toContain("CONFIRMATION");
    const left = (["acts", "later", "poller", "tasks"] as const).map((name) => pids[name]!);
    expect(left.map(isAlive)).toEqual([true, true, true, true]);
    const ended = await workers("end-strays", "--yes");
    expect(ended.exitCode, ended.output).toBe(0);
    expect(left.map(isAlive)).toEqual([false, false, false, false]);
    expect(await trace()).toContain("last end");
    expect([copy.identity, pids["broker"]!].map(isAlive)).toEqual([true, true]);
    expect(linesOf(await audit())).toEqual(["foreign - dramatiq"]);

    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(isAlive(copy.identity)).toBe(true);
  });
});

const cases: readonly (WorkerPlaces & { readonly runtime: Runtime })[] = [
  { runtime: "container", broker: "container", workers: "container" },
  { runtime: "container", broker: "host", workers: "container" },
];

describeCases(cases, "workers in: $workers, their broker in: $broker", (one) => {
  beforeAll(() => bringUp(one));
  afterAll(takeDown);

  it("names the stack's own, each with its container", async () => {
    const found = await audit();
    expect(found).toMatchObject({ verdict: "good", reasons: [] });
    // The relay hides that the poller waits for a list.
    expect(linesOf(found)).toEqual(OWN.filter((line) => one.broker === "container" || !line.includes("poller")));
    for (const { service, container, command } of found.consumers) {
      expect(container?.name).toBe(`${stack.name}-${service}`);
      expect(command).toMatch(/celery|dramatiq|rq|poller/);
    }
  });

  it("names a stranger of this host, and one in a container", async () => {
    await using onHost = await startForeign(["celery", "-A", "jobs", "worker", "-n", "other@lab", "-P", "solo"]);
    const hostLine = (await audit()).consumers.find(({ owner }) => owner === "foreign");
    expect(hostLine).toMatchObject({ framework: "celery", pid: onHost.pid, cwd: onHost.dir, container: null });
    if (one.broker === "host") return;

    const { tasks } = await stack.containers();
    const url = `redis://:${encodeURIComponent(broker().password)}@broker:${port}/0`;
    await using inContainer = await startStrangerContainer({
      image: tasks!.Config.Image,
      command: ["rq", "worker"],
      env: [`RQ_REDIS_URL=${url}`],
      network: `engineroom-${stack.name}`,
    });
    const found = await until("it to consume", async () =>
      (await workersNow()).find(({ container }) => container?.id === inContainer.id),
    );
    // A container has the labels of its image: they prove nothing.
    expect(found).toMatchObject({ owner: "foreign", framework: "rq", service: null, claims: stack.places.owner });
    expect(found.command).toContain("rq worker");
  });
});
