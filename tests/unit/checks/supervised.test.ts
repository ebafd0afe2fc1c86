import { describe, expect, it } from "vitest";
import { failed, type Outcome } from "#checks/check.ts";
import { judgeProgram, uptimeOf } from "#checks/supervised.ts";
import type { StartHistory } from "#observe/records.ts";
import type { ProgramState } from "#observe/supervisord.ts";

// Does not prove: what stands in supervisord's log.

const program = (state: ProgramState["state"], changes: Partial<ProgramState> = {}): ProgramState => ({
  ...{ name: "api", state, pid: 5, exitStatus: 0, startedAt: 1, stoppedAt: 1, spawnError: "" },
  ...changes,
});
const NOW = 1000;
/** As many restarts, `gap` seconds apart, the last one 2 seconds ago. */
const restarted = (restarts: number, more: Partial<StartHistory> = {}, gap = 2): StartHistory => ({
  starts: Array.from({ length: restarts + 1 }, (_, index) => ({
    ...{ boot: "b", pid: 5, start: 1, token: "t" },
    at: NOW - 2 - gap * (restarts - index),
  })),
  restarts,
  ...more,
});
const cause = (): string => "terminated by SIGKILL";

describe("a program that", () => {
  it.each<[string, ProgramState, StartHistory, Outcome | undefined]>([
    ["runs is asked", program("RUNNING"), restarted(0), undefined],
    ["starts is asked", program("STARTING"), restarted(0), undefined],
    ["is started again is asked", program("BACKOFF"), restarted(1), undefined],
    [
      "has ended",
      program("EXITED", { spawnError: "Bad exit code -1" }),
      restarted(0),
      failed("its program has ended (terminated by SIGKILL)"),
    ],
    [
      "cannot be started",
      program("FATAL", { spawnError: "can't find command 'x'" }),
      restarted(0),
      failed("its program has ended (can't find command 'x')"),
    ],
    ["was stopped", program("STOPPED"), restarted(0), failed("its program has ended (terminated by SIGKILL)")],
    [
      "has crashed three times",
      program("RUNNING"),
      restarted(2),
      failed("its program ended soon after each of 3 starts (terminated by SIGKILL)"),
    ],
    ["has crashed now and then is asked", program("RUNNING"), restarted(9, {}, 3600), undefined],
    [
      "has given up",
      program("EXITED"),
      restarted(5, { gaveUpAt: 9 }),
      failed("its program ended soon after each of 6 starts (terminated by SIGKILL)"),
    ],
  ])("%s", (_what, state, history, outcome) => expect(judgeProgram(state, history, NOW, cause)).toEqual(outcome));
});

describe("uptimeOf", () => {
  const seconds = Date.now() / 1000;
  const history = { ...restarted(0), since: seconds - 5 };
  const starts = [{ boot: "b", pid: 5, start: 1, token: "t", at: seconds - 5 }];

  it("counts from the noted start", () => {
    expect(uptimeOf(program("RUNNING"), { ...history, starts })?.seconds).toBeCloseTo(5, 0);
  });

  // A launcher that backs off after a crash is alive too, for seconds.
  it("does not count a launcher that has noted no start of its own", () => {
    expect(uptimeOf(program("RUNNING", { pid: 6 }), { ...history, starts })).toBeUndefined();
  });
});
