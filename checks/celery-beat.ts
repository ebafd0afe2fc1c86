import { setTimeout as sleep } from "node:timers/promises";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import type { Inside } from "#checks/inside.ts";
import { ownPids, sleepsOf } from "#checks/process-tree.ts";
import { askRedis, judgeRespError } from "#checks/redis.ts";
import { RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

type BeatCheck = CheckOf<"celery-beat">;

/** It wakes every second. */
const WAKE_MS = 3000;
const STEP_MS = 50;

export interface BeatEvidence {
  readonly pong: Reply;
  /** The process that its PID file names; undefined where that is none of its own. */
  readonly pid: number | undefined;
  /** PIDs of the service's own processes. */
  readonly tree: readonly number[];
  /** It has been awake within the attempt. */
  readonly wakes: boolean;
}

export async function probeCeleryBeat(
  check: BeatCheck,
  signal: AbortSignal,
  processTree: (() => Promise<readonly number[]>) | undefined,
  inside: Inside | undefined,
): Promise<Outcome> {
  if (processTree === undefined || inside === undefined)
    return failed("the check was not told which processes are the service's own");
  const answer = await askRedis(check, signal, [["PING"]]);
  if ("outcome" in answer) return answer.outcome;
  const [pong = null] = answer.replies;
  const tree = await processTree();
  const noted = tree.length === 0 ? undefined : await inside.read(check.pidFile, signal);
  const pid = noted === undefined ? undefined : ownPids(tree).get(Number(noted.trim()));
  return judgeCeleryBeat(check, { pong, pid, tree, wakes: pid !== undefined && (await wakesUp(pid, signal)) });
}

/** Its loop does nothing but sleep and look at the clock, so each round shows as a sleep of its first thread. */
async function wakesUp(pid: number, signal: AbortSignal): Promise<boolean> {
  const before = sleepsOf(pid);
  const end = performance.now() + WAKE_MS;
  while (performance.now() < end && !signal.aborted) {
    await sleep(STEP_MS);
    const now = sleepsOf(pid);
    if (now === undefined) return false;
    if (now !== before) return true;
  }
  return false;
}

/**
 * Ready when the process that came to the schedule, as its PID file tells, goes round its loop, and the broker answers.
 * The schedule file tells nothing: most of Python's databases write it when they are closed.
 */
export function judgeCeleryBeat(check: BeatCheck, { pong, pid, tree, wakes }: BeatEvidence): Outcome {
  const where = `${check.host}:${check.port}`;
  if (pong instanceof RespError) return judgeRespError(check, pong);
  if (tree.length === 0) return pending("no process of the scheduler runs");
  if (pid === undefined)
    return pending(`it has not come to its schedule: ${check.pidFile} names no process of its own`);
  if (!wakes) return pending(`process ${pid} does not wake, which it should do every second`);
  return ready(`process ${pid} keeps the schedule, and ${where} answers`);
}
