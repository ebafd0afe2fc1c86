import { describe, expect, it } from "vitest";
import { judgeCeleryWorker, parseHeartbeat, probeCeleryWorker } from "#checks/celery-worker.ts";
import type { CeleryEvidence } from "#checks/celery-worker.ts";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { RespError } from "#checks/resp.ts";

const check = {
  kind: "celery-worker",
  host: "127.0.0.1",
  port: 6379,
  nodename: "tasks@lab",
  heartbeat: true,
} as const;
const where = "127.0.0.1:6379";

const client = (port: number, cmd: string, idle = 0) =>
  `id=3 addr=127.0.0.1:${port} laddr=127.0.0.1:6379 fd=8 name= age=1 idle=${idle} db=0 cmd=${cmd} user=default`;
const answer = { nodename: "tasks@lab", pid: 1, active: undefined };
/** In a container, where the worker knows itself as 1. */
const good: CeleryEvidence = {
  clients: [client(1001, "psubscribe"), client(1002, "brpop", 1), client(2001, "brpop")].join("\n"),
  heartbeats: [answer],
  tree: new Map([
    [1, 11],
    [8, 12],
  ]),
  connections: new Map([
    [1001, 11],
    [1002, 11],
  ]),
};

const cases: [name: string, more: Partial<CeleryEvidence>, Outcome][] = [
  ["consumes and answers", {}, ready(`tasks@lab consumes from ${where} and answers`)],
  ["no process", { tree: new Map() }, pending("no process of the worker runs")],
  [
    "strangers consume",
    { connections: new Map([[1001, 11]]) },
    pending(`no process of the worker consumes from ${where}; 2 connections there do, of other programs`),
  ],
  [
    "nobody consumes",
    { clients: client(1001, "psubscribe") },
    pending(`no process of the worker consumes from ${where}`),
  ],
  ["no answer", { heartbeats: [] }, pending(`tasks@lab holds a connection to ${where} and does not answer`)],
  [
    "another node of the same name answers",
    { heartbeats: [{ ...answer, pid: 4711 }] },
    pending(
      `tasks@lab holds a connection to ${where} and does not answer; a node of the same name does, with PID 4711`,
    ),
  ],
  [
    "both answer",
    { heartbeats: [{ ...answer, pid: 4711 }, answer] },
    ready(`tasks@lab consumes from ${where} and answers`),
  ],
  [
    "an answer in another format than JSON",
    { heartbeats: [{ ...answer, pid: undefined }] },
    ready(`tasks@lab consumes from ${where} and answers`),
  ],
  [
    "it has lost its way to the queue",
    { clients: client(1002, "brpop", 31), heartbeats: [{ ...answer, active: 0 }] },
    pending(`tasks@lab runs no task and has not asked ${where} for one for 30 s`),
  ],
  [
    "it has all hands full",
    { clients: client(1002, "brpop", 3000), heartbeats: [{ ...answer, active: 2 }] },
    ready(`tasks@lab consumes from ${where} and answers`),
  ],
  [
    "no right to list clients",
    { clients: new RespError("NOPERM no") },
    failed(`${where} refused the login: NOPERM no`, "declare the password that it asks for"),
  ],
];

describe("judgeCeleryWorker", () => {
  it.each(cases)("%s", (_, more, outcome) => {
    expect(judgeCeleryWorker(check, { ...good, ...more })).toEqual(outcome);
  });

  it("asks nothing of a node that answers nothing while it works", () =>
    expect(judgeCeleryWorker({ ...check, heartbeat: false }, { ...good, heartbeats: [] })).toEqual(
      ready(`it consumes from ${where}; with pool solo it is asked no more`),
    ));

  describe("through a proxy, whose connections the broker sees", () => {
    const proxied: CheckOf<"celery-worker"> = { ...check, worker: { port: 7000, isDirect: false } };
    const through = { ...good, connections: new Map([[1, 11]]) };
    it("needs a connection of its own to that, and one that consumes", () =>
      expect(judgeCeleryWorker(proxied, through)).toEqual(ready(`tasks@lab consumes from ${where} and answers`)));
    it.each<[string, Partial<CeleryEvidence>, Outcome]>([
      [
        "has no connection",
        { connections: new Map() },
        pending(`no process of the worker consumes from ${where}; 2 connections there do, of other programs`),
      ],
      [
        "nobody consumes",
        { clients: client(1001, "ping") },
        pending(`no process of the worker consumes from ${where}`),
      ],
    ])("%s", (_, more, outcome) => expect(judgeCeleryWorker(proxied, { ...through, ...more })).toEqual(outcome));
  });
});

describe("parseHeartbeat", () => {
  const message = (body: string, headers: object = { hostname: "tasks@lab" }) => [
    "pmessage",
    "*.celeryev/worker.heartbeat",
    "/0.celeryev/worker.heartbeat",
    JSON.stringify({ body: Buffer.from(body).toString("base64"), headers }),
  ];
  it.each<[string, Parameters<typeof parseHeartbeat>[0], ReturnType<typeof parseHeartbeat>]>([
    [
      "an answer",
      message('{"hostname": "tasks@lab", "pid": 7, "freq": 5}'),
      { nodename: "tasks@lab", pid: 7, active: undefined },
    ],
    [
      "a beat",
      message('{"hostname": "tasks@lab", "pid": 7, "active": 2}'),
      { nodename: "tasks@lab", pid: 7, active: 2 },
    ],
    ["another format", message("\x80\x02}"), { nodename: "tasks@lab", pid: undefined, active: undefined }],
    ["no name", message("{}", {}), undefined],
    ["no message", ["psubscribe", "*", 1], undefined],
    ["no JSON", ["pmessage", "*", "*", "text"], undefined],
    ["no list", null, undefined],
  ])("reads %s", (_, reply, expected) => expect(parseHeartbeat(reply)).toEqual(expected));
});

describe("probeCeleryWorker", () => {
  it("fails when nobody tells it the service's processes", async () => {
    expect(await probeCeleryWorker(check, AbortSignal.timeout(100), undefined)).toEqual(
      failed("the check was not told which processes are the service's own"),
    );
  });
});
