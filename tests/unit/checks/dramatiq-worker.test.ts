import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { judgeDramatiqWorker, probeDramatiqWorker } from "#checks/dramatiq-worker.ts";
import type { DramatiqEvidence } from "#checks/dramatiq-worker.ts";
import { RespError } from "#checks/resp.ts";

const check = {
  kind: "dramatiq-worker",
  host: "127.0.0.1",
  port: 6379,
  processes: 2,
  namespace: "app",
} as const;
const where = "127.0.0.1:6379";

const client = (port: number, cmd: string) =>
  `id=3 addr=127.0.0.1:${port} laddr=127.0.0.1:6379 fd=8 name= age=1 idle=0 cmd=${cmd} user=default lib-name=redis-py`;
const clients = [client(1001, "evalsha"), client(1002, "eval"), client(1003, "ping"), client(1004, "evalsha")].join(
  "\n",
);
/** Local port → process that holds the connection. */
const connections = new Map([
  [1001, 11],
  [1002, 12],
  [1003, 13],
]);
const good: DramatiqEvidence = {
  clients,
  heartbeats: 3,
  tree: [10, 11, 12, 13],
  connections,
};

const cases: [name: string, more: Partial<DramatiqEvidence>, Outcome][] = [
  ["both consume", {}, ready(`2 worker processes consume from ${where} with a fresh heartbeat`)],
  [
    "strangers consume",
    { connections: new Map() },
    pending(`0 of 2 worker processes consume from ${where}; 3 connections there dispatch, of any program`),
  ],
  [
    "one process with both connections",
    { connections: new Map([...connections.keys()].map((port) => [port, 11])) },
    pending(`1 of 2 worker processes consume from ${where}; 3 connections there dispatch, of any program`),
  ],
  ["nobody consumes", { clients: client(1001, "ping") }, pending(`0 of 2 worker processes consume from ${where}`)],
  ["old heartbeats", { heartbeats: 1 }, pending(`1 of 2 fresh heartbeats in app:__heartbeats__ on ${where}`)],
  ["no process", { tree: [] }, pending("no process of the worker runs")],
  [
    "no right to list clients",
    { clients: new RespError("NOPERM no") },
    failed(`${where} refused the login: NOPERM no`, "declare the password that it asks for"),
  ],
  ["loading", { heartbeats: new RespError("LOADING wait") }, pending(`${where}: LOADING wait`)],
];

describe("judgeDramatiqWorker", () => {
  it.each(cases)("%s", (_, more, outcome) => {
    expect(judgeDramatiqWorker(check, { ...good, ...more })).toEqual(outcome);
  });
});

// The broker sees the connections of what stands between: the engine's proxy, or the relay.
describe("judgeDramatiqWorker, through something in between", () => {
  const through = { ...check, worker: { port: 16_379, isDirect: false } };
  const own = new Map([
    [2001, 11],
    [2002, 12],
  ]);
  it.each<[name: string, more: Partial<DramatiqEvidence>, Outcome]>([
    [
      "both have a connection, and as many dispatch",
      { connections: own },
      ready(`2 worker processes consume from ${where} with a fresh heartbeat`),
    ],
    [
      "one has all connections",
      { connections: new Map([...own.keys()].map((port) => [port, 11])) },
      pending(`1 of 2 worker processes consume from ${where}; 3 connections there dispatch, of any program`),
    ],
    [
      "both have a connection, and one dispatches",
      { connections: own, clients: client(9001, "evalsha") },
      pending(`1 of 2 worker processes consume from ${where}`),
    ],
    [
      "they have none, and strangers dispatch",
      { connections: new Map() },
      pending(`0 of 2 worker processes consume from ${where}; 3 connections there dispatch, of any program`),
    ],
    [
      "old heartbeats",
      { connections: own, heartbeats: 0 },
      pending(`0 of 2 fresh heartbeats in app:__heartbeats__ on ${where}`),
    ],
  ])("%s", (_, more, outcome) => {
    expect(judgeDramatiqWorker(through, { ...good, ...more })).toEqual(outcome);
  });
});

it("a worker in a network of its own that reaches the broker itself is known by its port there", () =>
  expect(judgeDramatiqWorker({ ...check, worker: { port: 6379, isDirect: true } }, good)).toEqual(
    ready(`2 worker processes consume from ${where} with a fresh heartbeat`),
  ));

describe("probeDramatiqWorker", () => {
  it("fails when nobody tells it the service's processes", async () => {
    expect(await probeDramatiqWorker(check, AbortSignal.timeout(100), undefined)).toEqual(
      failed("the check was not told which processes are the service's own"),
    );
  });
});
