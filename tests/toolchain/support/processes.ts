import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** One process; its start time tells it from a later one with the same id. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly started: string;
  readonly command: string;
}

/** Every process below `pid`, itself left out. */
export function descendants(pid: number): readonly Process[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => look(Number(name)) ?? []);
  const below = (parent: number): readonly Process[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

/** Waits until none of them is alive. @returns those that still are when the time is up. */
export async function survivors(processes: readonly Process[], deadlineMs: number): Promise<readonly Process[]> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const alive = processes.filter((one) => look(one.pid)?.started === one.started);
    if (alive.length === 0 || performance.now() > end) return alive;
    await sleep(50);
  }
}

/** Polls until `get` gives something. */
export async function eventually<T>(what: string, deadlineMs: number, get: () => T | undefined): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const got = get();
    if (got !== undefined) return got;
    if (performance.now() > end) throw new Error(`expected ${what} within ${deadlineMs} ms`);
    await sleep(50);
  }
}

function look(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name may hold spaces and parentheses; everything after the last one is numbers.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, parent, started] = [fields[0], fields[1], fields[19]];
    if (state === undefined || state === "Z" || started === undefined) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid, parent: Number(parent), started, command };
  } catch {
    return undefined;
  }
}
