import { describe, expect, it } from "vitest";
import { judgeCeleryBeat, probeCeleryBeat } from "#checks/celery-beat.ts";
import type { BeatEvidence } from "#checks/celery-beat.ts";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { RespError } from "#checks/resp.ts";

const check = { kind: "celery-beat", host: "127.0.0.1", port: 6379, pidFile: "/tmp/beat.pid" } as const;
const where = "127.0.0.1:6379";
const good: BeatEvidence = { pong: "PONG", pid: 11, tree: [10, 11], wakes: true };

const cases: [name: string, more: Partial<BeatEvidence>, Outcome][] = [
  ["goes round", {}, ready(`process 11 keeps the schedule, and ${where} answers`)],
  ["no process", { tree: [] }, pending("no process of the scheduler runs")],
  [
    "not there yet",
    { pid: undefined },
    pending("it has not come to its schedule: /tmp/beat.pid names no process of its own"),
  ],
  ["hangs", { wakes: false }, pending("process 11 does not wake, which it should do every second")],
  ["the broker loads", { pong: new RespError("LOADING wait") }, pending(`${where}: LOADING wait`)],
];

describe("judgeCeleryBeat", () => {
  it.each(cases)("%s", (_, more, outcome) => {
    expect(judgeCeleryBeat(check, { ...good, ...more })).toEqual(outcome);
  });
});

describe("probeCeleryBeat", () => {
  it("fails when nobody tells it the service's processes", async () => {
    expect(await probeCeleryBeat(check, AbortSignal.timeout(100), undefined, undefined)).toEqual(
      failed("the check was not told which processes are the service's own"),
    );
  });
});
