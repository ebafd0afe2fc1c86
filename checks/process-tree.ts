import { readdirSync, readFileSync } from "node:fs";

/** What proves that a PID still means the same process. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly startTime: number;
  readonly bootId: string;
  /** One letter, as in proc(5): R, S, D, T … */
  readonly state: string;
}

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Process group: the PID of its leader, also when that has ended. */
  readonly group: number;
  readonly state: string;
  readonly startTime: number;
}

/** Dead for every purpose, although `kill(pid, 0)` succeeds. */
const DEAD_STATES = "ZXx";

/** Who has this PID now; undefined when nobody does, and for a zombie. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  if (stat === undefined || DEAD_STATES.includes(stat.state)) return undefined;
  const { startTime, state } = stat;
  return { pid, startTime, state, bootId: bootId() };
}

/** Whether that very process still lives: boot, PID and start time name no other. */
export function lives({ pid, start, boot }: { readonly pid: number; readonly start: number; readonly boot: string }) {
  const found = processIdentity(pid);
  return found?.startTime === start && found.bootId === boot;
}

/** The process and everything below it, itself first; empty when it does not live. One look at /proc. */
export function processTree(root: number): readonly number[] {
  return treeOf(root, processStats());
}

/** Every process of this host. */
export function processStats(): readonly ProcessStat[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
}

export function treeOf(root: number, stats: readonly ProcessStat[]): readonly number[] {
  const living = stats.filter(({ state }) => !DEAD_STATES.includes(state));
  if (!living.some(({ pid }) => pid === root)) return [];
  const children = Map.groupBy(living, ({ parent }) => parent);
  const tree = new Set([root]);
  // A set grows while it is walked, and takes each PID once.
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child.pid);
  return [...tree];
}

/** The PIDs under which processes know themselves: in a container they count from 1. */
export const ownPids = (tree: readonly number[]): ReadonlyMap<number, number> =>
  new Map(tree.map((pid) => [innermostPid(pid), pid]));

/** The PID under which a process knows itself. */
export function innermostPid(pid: number): number {
  const [, numbers] = /^NSpid:\s*(.*)$/m.exec(statusOf(pid)) ?? [];
  return Number(numbers?.split("\t").at(-1) ?? pid);
}

/** How often its first thread went to sleep by itself: more than before, and it has been awake between. */
export function sleepsOf(pid: number): number | undefined {
  const [, count] = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(statusOf(pid)) ?? [];
  return count === undefined ? undefined : Number(count);
}

/** Empty where it does not live. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}

/** The fields after the last `)`: the name before it may hold anything, also spaces and brackets. */
export function parseStat(pid: number, text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group] = fields;
  const startTime = Number(fields[19]);
  if (state === undefined || parent === undefined || !Number.isSafeInteger(startTime)) return undefined;
  return { pid, parent: Number(parent), group: Number(group), state, startTime };
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(pid, readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
