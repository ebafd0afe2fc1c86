import { describe, expect, it } from "vitest";
import { failed, pending, ready, type Outcome } from "#checks/check.ts";
import { containerUptime, earlierRestarts, judgeContainer, judgeJob, processesOf } from "#checks/contained.ts";
import type { ContainerSeen } from "#observe/docker.ts";

// Does not prove: what an engine answers; tests/unit/observe/docker.test.ts and the end-to-end tests do.

const RUNNING: ContainerSeen = {
  id: "abc",
  state: "running",
  pid: 7,
  exitCode: 0,
  isOutOfMemory: false,
  error: "",
  startedAt: 1000,
  endedAt: 0,
  restarts: 0,
  fingerprint: {},
};
const ENDED: ContainerSeen = { ...RUNNING, state: "exited", pid: 0, endedAt: 1010 };

type Case = readonly [what: string, container: ContainerSeen | undefined, outcome: Outcome | undefined];

describe("a container that is waited for", () => {
  it.each<Case>([
    ["runs: its check is asked", RUNNING, undefined],
    ["is gone", undefined, failed("its container is gone")],
    ["is not started yet", { ...RUNNING, state: "created", pid: 0 }, pending("it is not started yet")],
    [
      "cannot be started",
      { ...RUNNING, state: "created", pid: 0, error: 'exec: "nope": not found' },
      failed('it could not be started: exec: "nope": not found'),
    ],
    [
      "is started again",
      { ...ENDED, state: "restarting", exitCode: 3, restarts: 2 },
      pending("it ended (exited with code 3) and is started again"),
    ],
    [
      "crashes again and again",
      { ...ENDED, state: "restarting", exitCode: 3, restarts: 3 },
      failed("its program ended soon after each of 3 starts (last: exited with code 3)"),
    ],
    [
      "crashes again and again, and runs at the moment",
      { ...RUNNING, restarts: 4 },
      failed("its program ended soon after each of 4 starts"),
    ],
    ["is paused", { ...RUNNING, state: "paused" }, failed("its container is paused")],
    ["ended well", ENDED, failed("its program has ended (exited with code 0)")],
    [
      "ended, and could not be started again",
      { ...ENDED, exitCode: 127, error: "no such file" },
      failed("it could not be started: no such file"),
    ],
    ["was killed", { ...ENDED, exitCode: 137 }, failed("its program has ended (killed)")],
    [
      "had too little memory",
      { ...ENDED, exitCode: 137, isOutOfMemory: true },
      failed("its program has ended (killed, out of memory)", "raise its `memory`"),
    ],
    ["is dead", { ...ENDED, state: "dead", exitCode: 1 }, failed("its program has ended (exited with code 1)")],
    ["is being removed", { ...ENDED, state: "removing" }, failed("its program has ended (exited with code 0)")],
  ])("%s", (_what, container, outcome) => expect(judgeContainer(container)).toEqual(outcome));
});

describe("restarts from before", () => {
  const longAgo = { ...RUNNING, startedAt: 1, restarts: 5 };
  const justNow = { ...longAgo, startedAt: Date.now() / 1000 };
  it("count for nothing where it has worked since", () => {
    expect(earlierRestarts(longAgo)).toBe(5);
    expect(judgeContainer(longAgo, 5)).toBeUndefined();
    expect(judgeContainer({ ...longAgo, restarts: 8 }, 5)).toEqual(
      failed("its program ended soon after each of 3 starts"),
    );
  });
  it("count where it has only begun, or does not run", () =>
    expect([justNow, { ...ENDED, restarts: 5 }, undefined].map(earlierRestarts)).toEqual([0, 0, 0]));
});

describe("a job in a container", () => {
  it.each<Case>([
    ["ended well", ENDED, ready("it ended with exit code 0")],
    ["runs", RUNNING, pending("it still runs")],
    ["is not started yet", { ...RUNNING, state: "created", pid: 0 }, pending("it is not started yet")],
    ["failed", { ...ENDED, exitCode: 1 }, failed("its program has ended (exited with code 1)")],
    [
      "had too little memory",
      { ...ENDED, exitCode: 137, isOutOfMemory: true },
      failed("its program has ended (killed, out of memory)", "raise its `memory`"),
    ],
    [
      "could not be started, which some engines call an end",
      { ...ENDED, exitCode: 0, error: "no such user" },
      failed("it could not be started: no such user"),
    ],
    ["is paused", { ...RUNNING, state: "paused" }, failed("its container is paused")],
    ["is gone", undefined, failed("its container is gone")],
  ])("%s", (_what, container, outcome) => expect(judgeJob(container)).toEqual(outcome));
});

describe("the processes of a container", () => {
  it("are none where none runs", () => expect([processesOf(undefined), processesOf(ENDED)]).toEqual([[], []]));
  it("are the tree of its main one, as this host counts", () =>
    expect(processesOf({ ...RUNNING, pid: process.pid })).toContain(process.pid));
});

describe("its uptime", () => {
  it("counts from its start", () => {
    const startedAt = Date.now() / 1000 - 60;
    const { pid, seconds } = containerUptime({ ...RUNNING, startedAt }) ?? { pid: 0, seconds: 0 };
    expect(pid).toBe(7);
    expect(seconds).toBeGreaterThanOrEqual(60);
  });
  it("is none where none runs", () =>
    expect([containerUptime(undefined), containerUptime(ENDED)]).toEqual([undefined, undefined]));
});
