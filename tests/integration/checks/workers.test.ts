// Workers of Celery and RQ, Celery's scheduler and a poller, each against a real broker. Not gevent, which is no
// package of the sample application, and no containers: tests/e2e/workers.test.ts has those.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { askRedis } from "#checks/redis.ts";
import type { Check, Outcome } from "#checks/check.ts";
import type { Inside } from "#checks/inside.ts";
import { runCommand } from "#checks/command.ts";
import { processTree } from "#checks/process-tree.ts";
import { runCheck } from "#checks/run.ts";
import { readText } from "#observe/records.ts";
import { canary, runJobs, startJobs, startRedis, type TestServer } from "#tests/support/servers.ts";
import { until } from "#tests/support/until.ts";

const patient = { timeoutMs: 60_000, attemptMs: 10_000 };
const brief = { timeoutMs: 700, attemptMs: 5000 };

type Broker = Awaited<ReturnType<typeof startRedis>>;

const inside: Inside = {
  run: (argv, signal) => runCommand(argv, {}, signal),
  read: (path) => Promise.resolve(readText(path)),
};

/** @param owner leads the processes that are the service's own. */
async function outcomeOf(check: Check, owner: Pick<TestServer, "pid">, policy = patient): Promise<Outcome> {
  const { outcome } = await runCheck(check, policy, {
    processTree: () => Promise.resolve(processTree(owner.pid)),
    inside,
  });
  expect(JSON.stringify(outcome)).not.toContain(canary);
  return outcome;
}

const at = ({ host, port, passwordFile }: Broker) => ({ host, port, passwordFile });

const trace = async (broker: Broker, database = 0): Promise<readonly unknown[]> => {
  const select = ["SELECT", String(database)];
  const answer = await askRedis(broker, AbortSignal.timeout(5000), [select, ["LRANGE", "jobs:trace", "0", "-1"]]);
  return "replies" in answer ? (answer.replies[1] as readonly unknown[]) : [];
};

/** Sends TERM to the first process alone, as the makers do, and waits for its end. */
async function drained({ pid }: TestServer): Promise<void> {
  process.kill(pid, "SIGTERM");
  await until(`the end of ${pid}`, () => processTree(pid).length === 0);
}

describe("celery-worker", () => {
  const celery = (pool: string, ...more: readonly string[]) => [
    ...["celery", "-A", "jobs", "worker", "-n", "tasks@lab", "-P", pool, "-c", "1", "-l", "INFO", ...more],
  ];
  const checkOf = (broker: Broker, heartbeat = true): Check => ({
    kind: "celery-worker",
    ...at(broker),
    nodename: "tasks@lab",
    heartbeat,
  });

  it("is ready for its own node only, and not while it is stopped", async () => {
    await using broker = await startRedis();
    const check = checkOf(broker);
    const where = `${broker.host}:${broker.port}`;
    expect(await outcomeOf(check, broker, brief)).toEqual({
      status: "pending",
      reason: `no process of the worker consumes from ${where}`,
    });
    await using worker = await startJobs(broker, celery("prefork"));
    expect(await outcomeOf(check, worker)).toEqual({
      status: "ready",
      detail: `tasks@lab consumes from ${where} and answers`,
    });
    expect(await outcomeOf(check, broker, brief)).toEqual({
      status: "pending",
      reason: `no process of the worker consumes from ${where}; 1 connections there do, of other programs`,
    });
    expect(await outcomeOf({ ...checkOf(broker), nodename: "other@lab" } as Check, worker, brief)).toEqual({
      status: "pending",
      reason: `other@lab holds a connection to ${where} and does not answer`,
    });
    process.kill(worker.pid, "SIGSTOP");
    expect(await outcomeOf(check, worker, brief)).toEqual({
      status: "pending",
      reason: `tasks@lab holds a connection to ${where} and does not answer`,
    });
    // Another node that has taken its name answers in its place.
    await using twin = await startJobs(broker, celery("solo"));
    expect(await outcomeOf(checkOf(broker), twin)).toMatchObject({ status: "ready" });
    expect(await outcomeOf(check, worker, brief)).toEqual({
      status: "pending",
      reason: `tasks@lab holds a connection to ${where} and does not answer; a node of the same name does, with PID ${twin.pid}`,
    });
    process.kill(worker.pid, "SIGCONT");
    expect(await outcomeOf(check, worker)).toMatchObject({ status: "ready" });
  });

  it("is not ready without its broker, and is again when that is back", async () => {
    await using broker = await startRedis();
    await using worker = await startJobs(broker, celery("threads"));
    expect(await outcomeOf(checkOf(broker), worker)).toMatchObject({ status: "ready" });
    const { host, port, passwordFile } = broker;
    // A broker that is away for a moment: all connections are cut.
    const cut = await askRedis({ host, port, passwordFile }, AbortSignal.timeout(5000), [
      ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
      ["CLIENT", "KILL", "TYPE", "pubsub"],
    ]);
    expect(cut).toHaveProperty("replies");
    expect(await outcomeOf(checkOf(broker), worker)).toMatchObject({ status: "ready" });
  });

  it.each(["prefork", "threads", "solo"])("with pool %s is ready while it works, and ends its task", async (pool) => {
    await using broker = await startRedis();
    await using worker = await startJobs(broker, celery(pool));
    const check = checkOf(broker, pool !== "solo");
    expect(await outcomeOf(check, worker)).toMatchObject({ status: "ready" });
    await runJobs(broker, ["celery", "-A", "jobs", "call", "jobs.celery.take", "--args", '["a", 4]']);
    await until("the task's begin", async () => (await trace(broker)).length === 1);
    expect(await outcomeOf(check, worker, brief)).toMatchObject({ status: "ready" });
    await drained(worker);
    expect(await trace(broker)).toEqual(["a begin", "a end"]);
  });
});

describe("rq-worker", () => {
  const checkOf = (broker: Broker, workers: number): Check => ({
    kind: "rq-worker",
    ...at(broker),
    database: 3,
    workers,
  });

  it.each([
    [1, ["rq", "worker", "images"]],
    [2, ["rq", "worker-pool", "--num-workers", "2", "images", "others"]],
  ])("%i is ready, also while it works, and ends its job", async (workers, [, ...args]) => {
    await using broker = await startRedis();
    const check = checkOf(broker, workers);
    await using worker = await startJobs(broker, ["rq.cli", ...args], { database: 3 });
    const where = `${broker.host}:${broker.port}`;
    const detail = `${workers === 1 ? "1 worker consumes" : "2 workers consume"} from ${where}`;
    expect(await outcomeOf(check, worker)).toEqual({ status: "ready", detail });
    expect(await outcomeOf({ ...check, database: 0 } as Check, worker, brief)).toMatchObject({ status: "pending" });
    expect(await outcomeOf(check, broker, brief)).toEqual({
      status: "pending",
      reason: `0 of ${workers} workers are registered and beat in database 3 of ${where}; ${workers} there are not its own`,
    });
    await runJobs(broker, ["rq.cli", "enqueue", "--queue", "images", "jobs.rq.take", "a", "4"], { database: 3 });
    await until("the job's begin", async () => (await trace(broker, 3)).length === 1);
    expect(await outcomeOf(check, worker, brief)).toEqual({ status: "ready", detail });
    await drained(worker);
    expect(await trace(broker, 3)).toEqual(["a begin", "a end"]);
  });

  it("is not ready while it is stopped, nor because of what a killed one has left", async () => {
    await using broker = await startRedis();
    const check = checkOf(broker, 1);
    const where = `${broker.host}:${broker.port}`;
    await using first = await startJobs(broker, ["rq.cli", "worker"], { database: 3 });
    expect(await outcomeOf(check, first)).toMatchObject({ status: "ready" });
    process.kill(first.pid, "SIGSTOP");
    expect(await outcomeOf(check, first, brief)).toEqual({
      status: "pending",
      reason: `process ${first.pid} of the worker is stopped`,
    });
    process.kill(first.pid, "SIGKILL");
    await until("its end", () => processTree(first.pid).length === 0);
    expect(await outcomeOf(check, broker, brief)).toEqual({
      status: "pending",
      reason: `0 of 1 workers are registered and beat in database 3 of ${where}; 1 there are not its own`,
    });
    await using second = await startJobs(broker, ["rq.cli", "worker"], { database: 3 });
    expect(await outcomeOf(check, second)).toMatchObject({ status: "ready" });
  });
});

describe("celery-beat", () => {
  it("is ready when it goes round its schedule, and not while it is stopped", async () => {
    await using broker = await startRedis();
    await using beat = await startJobs(broker, [
      ...["celery", "-A", "jobs", "beat", "-s", "schedule", "--pidfile", "beat.pid", "--max-interval", "1"],
    ]);
    const pidFile = join(beat.dir, "beat.pid");
    const check = { kind: "celery-beat", ...at(broker), pidFile } as const;
    expect(await outcomeOf(check, broker, brief)).toEqual({
      status: "pending",
      reason: `it has not come to its schedule: ${pidFile} names no process of its own`,
    });
    expect(await outcomeOf(check, beat)).toEqual({
      status: "ready",
      detail: `process ${beat.pid} keeps the schedule, and ${broker.host}:${broker.port} answers`,
    });
    process.kill(beat.pid, "SIGSTOP");
    expect(await outcomeOf(check, beat, brief)).toEqual({
      status: "pending",
      reason: `process ${beat.pid} does not wake, which it should do every second`,
    });
    process.kill(beat.pid, "SIGCONT");
    expect(await outcomeOf(check, beat)).toMatchObject({ status: "ready" });
    await drained(beat);
    expect(existsSync(pidFile)).toBe(false);
  });
});
