import { describe, expect, it } from "vitest";
import { failed, type Outcome } from "#checks/check.ts";
import { judgeProgram } from "#checks/supervised.ts";
import type { StartHistory } from "#observe/records.ts";
import type { ProgramState } from "#observe/supervisord.ts";

// Does not prove: what stands in supervisord's log.

const program = (state: ProgramState["state"], changes: Partial<ProgramState> = {}): ProgramState => ({
  ...{ name: "api", state, pid: 5, exitStatus: 0, startedAt: 1, stoppedAt: 1, spawnError: "" },
  ...changes,
});
const restarted = (restarts: number, more: Partial<StartHistory> = {}): StartHistory => ({
  starts: [],
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
    [
      "has given up",
      program("EXITED"),
      restarted(5, { gaveUpAt: 9 }),
      failed("its program ended soon after each of 6 starts (terminated by SIGKILL)"),
    ],
  ])("%s", (_what, state, history, outcome) => expect(judgeProgram(state, history, cause)).toEqual(outcome));
});
