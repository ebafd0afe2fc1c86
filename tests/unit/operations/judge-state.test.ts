import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { ProgramState } from "#observe/supervisord.ts";
import { isReady, judgeState, mebibytes, type Evidence, type State } from "#operations/judge-state.ts";

const NOW = 10_000;
const start = (at: number, pid = 7) => ({ boot: "b", pid, start: 1, token: "t", at });
const history = (...starts: ReturnType<typeof start>[]) => ({
  starts,
  restarts: Math.max(0, starts.length - 1),
  ...(starts.length > 0 && { since: starts.at(-1)?.at ?? 0 }),
});

function program(state: ProgramState["state"], more: Partial<ProgramState> = {}): ProgramState {
  const pid = state === "RUNNING" ? 7 : 0;
  return { name: "x", state, pid, exitStatus: 0, startedAt: NOW - 100, stoppedAt: NOW - 5, spawnError: "", ...more };
}

const RUNNING: Evidence = {
  plan: { in: "host", run: "service", restart: "always", readyTimeoutMs: 60_000 },
  supervisor: { state: "running" },
  engine: { state: "unused" },
  seen: { program: program("RUNNING"), appliedPlan: "p", history: history(start(NOW - 100)) },
  drift: undefined,
  pid: 7,
  outcome: ready("it answers"),
  unmet: [],
  modelWait: undefined,
  dataRenewed: false,
  applied: true,
  memoryBytes: 2 ** 20,
  now: NOW,
};

const seen = (state: ProgramState["state"], more: Partial<ProgramState> = {}, starts = history(start(NOW - 100))) => ({
  program: program(state, more),
  appliedPlan: "p",
  history: starts,
});

const restart = (kind: Evidence["plan"]["restart"]) => ({ ...RUNNING.plan, restart: kind });
const JOB: Evidence = { ...RUNNING, plan: { ...RUNNING.plan, run: "job" }, pid: 0, seen: { history: history() } };
const done = { plan: "p", data: {}, at: NOW - 50 };
const DOWN = { supervisor: { state: "down", reason: "ECONNREFUSED" } } as const;

const EXTERNAL = { plan: { ...RUNNING.plan, in: "external" }, pid: 0, seen: { history: history() } } as const;

const cases: readonly (readonly [
  title: string,
  change: Partial<Evidence>,
  state: State,
  reason: RegExp | undefined,
])[] = [
  ["it answers", {}, "ready", undefined],
  ["somebody else's answers", EXTERNAL, "external", undefined],
  [
    "somebody else's does not",
    { ...EXTERNAL, outcome: pending("127.0.0.1:6379 refused") },
    "unhealthy",
    /^127\.0\.0\.1:6379 refused \(external: not ours to start\)$/,
  ],
  ["no check of its own", { outcome: undefined }, "ready", undefined],
  [
    "pending while it is young",
    { outcome: pending("loads"), seen: seen("RUNNING", { startedAt: NOW - 10 }, history(start(NOW - 10))) },
    "starting",
    /^loads$/,
  ],
  [
    "waiting for its model",
    { pid: 0, modelWait: { reason: "/m/a.gguf does not exist; waiting for it", until: NOW + 7.4 } },
    "waiting",
    /^\/m\/a\.gguf does not exist; waiting for it \(7 s left\)$/,
  ],
  [
    "waiting for another model while it serves this one",
    { modelWait: { reason: "x", until: NOW } },
    "ready",
    undefined,
  ],
  ["pending after its time", { outcome: pending("loads") }, "unhealthy", /^loads$/],
  [
    "a final failure, however young",
    { outcome: failed("wrong password"), seen: seen("RUNNING", {}, history(start(NOW - 1))), now: NOW - 0 },
    "unhealthy",
    /^wrong password$/,
  ],
  [
    "above its memory",
    { plan: { ...RUNNING.plan, memoryBytes: 2 ** 20 }, memoryBytes: 2 ** 21 },
    "degraded",
    /^uses 2\.0 MiB, more than its `memory` of 1\.0 MiB$/,
  ],
  ["at its memory", { plan: { ...RUNNING.plan, memoryBytes: 2 ** 20 } }, "ready", undefined],
  [
    "restarted three times lately",
    { seen: seen("RUNNING", {}, history(start(9400, 4), start(9500, 5), start(9600, 6), start(9900))) },
    "degraded",
    /^restarted 3 times in the last 10 minutes$/,
  ],
  [
    "restarted three times, long ago",
    { seen: seen("RUNNING", {}, history(start(100, 4), start(200, 5), start(300, 6), start(9900))) },
    "ready",
    undefined,
  ],
  [
    "on the CPU where it may have a GPU",
    { outcome: { ...ready("a token"), degraded: "it runs on the CPU" } as Evidence["outcome"] },
    "degraded",
    /^it runs on the CPU$/,
  ],
  ["edited by hand", { drift: "edited by hand: /x" }, "degraded", /^edited by hand: \/x$/],
  [
    "unhealthy and edited",
    { outcome: failed("no"), drift: "edited by hand: /x" },
    "unhealthy",
    /^no; edited by hand: \/x$/,
  ],
  [
    "launch.py waits for a dependency",
    { seen: seen("RUNNING", { pid: 9 }, history()), unmet: ["db", "migrate"] },
    "waiting",
    /^for db, migrate$/,
  ],
  [
    "launch.py backs off",
    { seen: seen("RUNNING", { pid: 9 }, history(start(9990, 5), start(9995, 6))) },
    "waiting",
    /ended soon after each of 2 starts$/,
  ],
  ["launch.py has just begun", { seen: seen("RUNNING", { pid: 9 }, history()) }, "starting", /about to start/],
  [
    "an old record has the same PID",
    { seen: seen("RUNNING", { startedAt: NOW - 10 }, history(start(NOW - 500))) },
    "waiting",
    /ended soon/,
  ],
  ["supervisord starts it", { seen: seen("STARTING"), pid: 0, outcome: undefined }, "starting", /supervisord/],
  ["supervisord tries again", { seen: seen("BACKOFF"), pid: 0, outcome: undefined }, "starting", /supervisord/],
  ["it is being stopped", { seen: seen("STOPPING"), outcome: undefined }, "stopped", /being stopped/],
  ["it was stopped", { seen: seen("STOPPED"), pid: 0, outcome: undefined }, "stopped", /^stopped at /],
  [
    "it could not be spawned",
    { seen: seen("FATAL", { spawnError: "no such file" }), pid: 0, outcome: undefined },
    "failed",
    /^no such file$/,
  ],
  ["nothing is known", { seen: seen("UNKNOWN"), pid: 0, outcome: undefined }, "failed", /could not be started/],
  [
    "killed, restart: no",
    { plan: restart("no"), seen: seen("EXITED", { exitStatus: -1 }), pid: 0, outcome: undefined },
    "failed",
    /^killed by a signal at .* \(restart: no\)$/,
  ],
  [
    "ended well, restart: no",
    { plan: restart("no"), seen: seen("EXITED"), pid: 0, outcome: undefined },
    "stopped",
    /^exited with code 0 at /,
  ],
  [
    "ended well, restart: on-failure",
    { plan: restart("on-failure"), seen: seen("EXITED"), pid: 0, outcome: undefined },
    "stopped",
    /^exited with code 0 at /,
  ],
  [
    "ended badly, restart: on-failure",
    { plan: restart("on-failure"), seen: seen("EXITED", { exitStatus: 3 }), pid: 0, outcome: undefined },
    "starting",
    /started again/,
  ],
  [
    "between two starts, restart: always",
    { seen: seen("EXITED"), pid: 0, outcome: undefined },
    "starting",
    /started again/,
  ],
  [
    "gave up",
    {
      seen: {
        program: program("EXITED", { exitStatus: 78 }),
        appliedPlan: "p",
        history: { ...history(start(9980, 4), start(9990, 5)), gaveUpAt: 9995 },
      },
      pid: 0,
      outcome: undefined,
    },
    "failed",
    /^gave up at .*: it ended soon after each of 2 starts$/,
  ],
  [
    "supervisord does not know it",
    { seen: { history: history() }, pid: 0, outcome: undefined },
    "missing",
    /does not know it/,
  ],
  ["the stack is not up", { supervisor: { state: "absent" }, pid: 0, outcome: undefined }, "missing", /not up/],
  [
    "another stack's supervisord",
    { supervisor: { state: "foreign", owner: "other/local" }, pid: 0 },
    "missing",
    /other\/local/,
  ],
  ["supervisord is dead, it lives", DOWN, "degraded", /^supervisord does not answer \(ECONNREFUSED\)$/],
  [
    "supervisord is dead, it lives and fails",
    { ...DOWN, outcome: failed("no") },
    "unhealthy",
    /^no; supervisord does not answer/,
  ],
  ["supervisord is dead, and it too", { ...DOWN, pid: 0, outcome: undefined }, "stopped", /ECONNREFUSED/],
];

const jobs: readonly (readonly [string, Partial<Evidence>, State, RegExp | undefined])[] = [
  ["succeeded", { seen: { history: history(), done } }, "done", undefined],
  [
    "another plan succeeded",
    { seen: { history: history(), done }, drift: "the last up ran another plan" },
    "degraded",
    /another plan/,
  ],
  [
    "succeeded on data that is gone",
    { seen: { history: history(), done }, drift: "the data of db is not what it ran on", dataRenewed: true },
    "missing",
    /the data of db/,
  ],
  ["runs", { pid: 9, drift: "it has not succeeded yet" }, "starting", /^it runs$/],
  ["did not succeed", { drift: "it has not succeeded yet" }, "failed", /did not succeed/],
  ["never ran", { applied: false }, "missing", /has not run/],
];

describe("judgeState", () => {
  it.each(cases)("of a service: %s", (_title, change, state, reason) => {
    expectJudged({ ...RUNNING, ...change }, state, reason);
  });

  it.each(jobs)("of a job: %s", (_title, change, state, reason) => {
    expectJudged({ ...JOB, ...change }, state, reason);
  });

  it("gives every state but disabled, which only the stack file can say", () => {
    const states = new Set([...cases, ...jobs].map(([, , state]) => state));
    expect([...states].sort()).toEqual(
      [
        "degraded",
        "done",
        "external",
        "failed",
        "missing",
        "ready",
        "starting",
        "stopped",
        "unhealthy",
        "waiting",
      ].sort(),
    );
  });
});

function expectJudged(evidence: Evidence, state: State, reason: RegExp | undefined): void {
  const judged = judgeState(evidence);
  expect(judged.state).toBe(state);
  if (reason === undefined) expect(judged.reason).toBeUndefined();
  else expect(judged.reason).toMatch(reason);
}

describe("isReady", () => {
  it.each<[State, boolean]>([
    ["ready", true],
    ["done", true],
    ["degraded", true],
    ["starting", false],
    ["waiting", false],
    ["unhealthy", false],
    ["failed", false],
    ["stopped", false],
    ["missing", false],
    ["disabled", false],
  ])("of %s is %s", (state, expected) => {
    expect(isReady(state)).toBe(expected);
  });
});

describe("mebibytes", () => {
  it.each([
    [0, "0.0 MiB"],
    [2 ** 20 * 9.94, "9.9 MiB"],
    [2 ** 20 * 9.96, "10 MiB"],
    [2 ** 30, "1024 MiB"],
  ])("of %d is %s", (bytes, words) => {
    expect(mebibytes(bytes)).toBe(words);
  });
});
