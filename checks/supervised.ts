import { call, parseProgramStates, type ProgramState } from "#observe/supervisord.ts";
import { crashSeries, isLaunched, readStartHistory, readText, type StartHistory } from "#observe/records.ts";
import type { Uptime } from "#checks/alive.ts";
import { failed, type Outcome, type Probe } from "#checks/check.ts";
import { processTree } from "#checks/process-tree.ts";

/** Where a supervised program shows whether it lives. */
export interface Supervised {
  readonly service: string;
  readonly socket: string;
  readonly home: string;
  /** supervisord's own log, the only place that keeps the cause of an end once the program runs again. */
  readonly supervisorLog: string;
}

/** Starts after which waiting longer is pointless. */
const CRASHES = 3;

/** Asks `probe` only while the program runs; one that has ended fails at once. */
export function whileRunning(target: Supervised, probe: Probe): Probe {
  return async (signal) => {
    const [program, history] = [await programState(target), readStartHistory(target.home)];
    const gone = judgeProgram(program, history, Date.now() / 1000, () => lastEnd(target));
    return gone ?? (await probe(signal));
  };
}

/** PIDs of the service, its main process first; empty when none runs. */
export async function programTree(target: Pick<Supervised, "service" | "socket">): Promise<readonly number[]> {
  const { pid } = await programState(target);
  return pid === 0 ? [] : processTree(pid);
}

/** How long the program has run, counted from the moment at which launch.py became it. */
export async function programUptime(
  target: Pick<Supervised, "service" | "socket" | "home">,
): Promise<Uptime | undefined> {
  return uptimeOf(await programState(target), readStartHistory(target.home));
}

/** Undefined while no program runs, or only its launcher. */
export function uptimeOf(program: ProgramState, { starts, since }: StartHistory): Uptime | undefined {
  if (since === undefined || !isLaunched(program, starts)) return undefined;
  return { pid: program.pid, seconds: Date.now() / 1000 - since };
}

async function programState({ service, socket }: Pick<Supervised, "service" | "socket">): Promise<ProgramState> {
  const [state] = parseProgramStates(await call(socket, "getProcessInfo", [service]));
  if (!state) throw new Error(`supervisord said nothing about ${service}`);
  return state;
}

/** @param now Unix seconds. */
export function judgeProgram(
  program: ProgramState,
  history: StartHistory,
  now: number,
  cause: () => string,
): Outcome | undefined {
  const ended = program.state === "EXITED" || program.state === "FATAL" || program.state === "STOPPED";
  const starts = crashSeries(history.starts, now);
  if (history.gaveUpAt !== undefined || starts >= CRASHES) {
    return failed(`its program ended soon after each of ${starts} starts (${cause()})`);
  }
  // What supervisord says of an exit is a number; its log has the signal's name.
  const reason = program.state === "FATAL" ? program.spawnError : cause();
  return ended ? failed(`its program has ended (${reason})`) : undefined;
}

/** `exit status 1`, `terminated by SIGKILL`: the last end of the program in supervisord's log. */
function lastEnd({ service, supervisorLog }: Supervised): string {
  const ends = (readText(supervisorLog) ?? "").matchAll(/exited: (\S+) \(([^;)]*)/g);
  return [...ends].findLast(([, name]) => name === service)?.[2] ?? "no cause noted";
}
