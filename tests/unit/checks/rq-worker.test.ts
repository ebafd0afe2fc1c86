import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { RespError } from "#checks/resp.ts";
import { judgeRqWorker, probeRqWorker } from "#checks/rq-worker.ts";
import type { RqEvidence, RqWorker } from "#checks/rq-worker.ts";

const check = { kind: "rq-worker", host: "127.0.0.1", port: 6379, database: 3, workers: 1 } as const;
const where = "127.0.0.1:6379";
const NOW = 1_000_000;

const client = (port: number, name: string, cmd: string) =>
  `id=3 addr=127.0.0.1:${port} laddr=127.0.0.1:6379 fd=8 name=${name} age=1 idle=300 db=3 cmd=${cmd} user=default`;
const worker: RqWorker = { name: "a1", pid: 7, state: "idle", heartbeat: NOW - 300 };
/** In a container, where the worker knows itself as 7. */
const good: RqEvidence = {
  clients: [client(1001, "a1", "subscribe"), client(1002, "", "blmove"), client(2001, "b2", "blpop")].join("\n"),
  workers: [worker],
  tree: new Map([
    [1, 11],
    [7, 17],
  ]),
  stopped: [],
  connections: new Map([
    [1001, 17],
    [1002, 17],
  ]),
  now: NOW,
};

const missing = (words = "") => pending(`0 of 1 workers are registered and beat in database 3 of ${where}${words}`);
const busy = (heartbeat: number) => [{ ...worker, state: "busy", heartbeat }];

const cases: [name: string, more: Partial<RqEvidence>, Outcome][] = [
  ["waits for a job", {}, ready(`1 worker consumes from ${where}`)],
  ["works", { workers: busy(NOW - 60), clients: client(1001, "a1", "hset") }, ready(`1 worker consumes from ${where}`)],
  ["no process", { tree: new Map() }, pending("no process of the worker runs")],
  ["stopped", { stopped: [17] }, pending("process 17 of the worker is stopped")],
  ["not registered", { workers: [] }, missing()],
  ["a stranger is", { workers: [{ ...worker, pid: 8 }] }, missing("; 1 there are not its own")],
  [
    "a worker that was killed had its PID",
    { workers: [{ ...worker, name: "old" }] },
    missing("; 1 there are not its own"),
  ],
  [
    "another program has the connection",
    {
      connections: new Map([
        [1001, 11],
        [1002, 17],
      ]),
    },
    missing("; 1 there are not its own"),
  ],
  [
    "registered, and not waiting for a job",
    { clients: client(1001, "a1", "subscribe") },
    missing("; 1 there are not its own"),
  ],
  ["a job, and no beat since", { workers: busy(NOW - 91) }, missing("; 1 of its own beat no more")],
  [
    "no job, and no beat since",
    { workers: [{ ...worker, heartbeat: NOW - 481 }] },
    missing("; 1 of its own beat no more"),
  ],
  [
    "suspended",
    { workers: [{ ...worker, state: "suspended" }] },
    pending(`RQ is suspended on ${where}: workers take no job until rq resume`),
  ],
  [
    "no right to list clients",
    { clients: new RespError("NOPERM no") },
    failed(`${where} refused the login: NOPERM no`, "declare the password that it asks for"),
  ],
];

describe("judgeRqWorker", () => {
  it.each(cases)("%s", (_, more, outcome) => {
    expect(judgeRqWorker(check, { ...good, ...more })).toEqual(outcome);
  });

  it("counts a pool's", () => {
    const pool = {
      ...good,
      clients: `${good.clients as string}\n${client(1003, "a2", "subscribe")}\n${client(1004, "", "blmove")}`,
      workers: [worker, { ...worker, name: "a2", pid: 1 }],
    };
    expect(judgeRqWorker({ ...check, workers: 2 }, pool)).toEqual(
      pending(`1 of 2 workers are registered and beat in database 3 of ${where}; 1 there are not its own`),
    );
    const connections = new Map([...good.connections, [1003, 11], [1004, 11]]);
    expect(judgeRqWorker({ ...check, workers: 2 }, { ...pool, connections })).toEqual(
      ready(`2 workers consume from ${where}`),
    );
  });

  it("takes the word of processes that it may not look into", () =>
    expect(judgeRqWorker(check, { ...good, connections: new Map([[1001, -5]]) })).toEqual(
      ready(`1 worker consumes from ${where}`),
    ));

  it("through a proxy needs a connection of its own, and one that waits for jobs", () => {
    const proxied: CheckOf<"rq-worker"> = { ...check, worker: { port: 7000, isDirect: false } };
    const through = { ...good, connections: new Map([[1, 17]]) };
    expect(judgeRqWorker(proxied, through)).toEqual(ready(`1 worker consumes from ${where}`));
    expect(judgeRqWorker(proxied, { ...through, connections: new Map() })).toEqual(
      missing("; 1 there are not its own"),
    );
    expect(judgeRqWorker(proxied, { ...through, clients: client(1, "a1", "ping") })).toEqual(
      missing("; 1 there are not its own"),
    );
  });
});

describe("probeRqWorker", () => {
  it("fails when nobody tells it the service's processes", async () => {
    expect(await probeRqWorker(check, AbortSignal.timeout(100), undefined)).toEqual(
      failed("the check was not told which processes are the service's own"),
    );
  });
});
