import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";

/** One start of a program, noted by the process that then became it. */
export interface Start {
  readonly boot: string;
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly start: number;
  readonly token: string;
  /** Unix seconds. */
  readonly at: number;
}

/** One line of a service's starts.jsonl, written by runtime/launch.py and apply.py. */
export type StartRecord = Start | { readonly reset: number } | { readonly gaveUp: number; readonly starts: number };

/** How often a service has started by itself since `up` last started it. */
export interface StartHistory {
  /** Oldest first. */
  readonly starts: readonly Start[];
  readonly restarts: number;
  /** Unix seconds of the last start; undefined before the first. */
  readonly since?: number;
  /** Unix seconds at which launch.py stopped trying. */
  readonly gaveUpAt?: number;
}

export function startHistory(records: readonly StartRecord[]): StartHistory {
  const current = records.slice(records.findLastIndex((record) => "reset" in record) + 1);
  const starts = current.filter((record) => "at" in record);
  const gaveUp = current.find((record) => "gaveUp" in record);
  const last = starts.at(-1);
  return {
    starts,
    restarts: Math.max(0, starts.length - 1),
    ...(last && { since: last.at }),
    ...(gaveUp && { gaveUpAt: gaveUp.gaveUp }),
  };
}

/** launch.py notes the start just before it becomes the program, under the same PID; until then it waits or backs off. */
export function isLaunched(
  { pid, startedAt }: { readonly pid: number; readonly startedAt: number },
  starts: readonly Start[],
): boolean {
  const last = starts.at(-1);
  return last?.pid === pid && last.at >= startedAt;
}

/** Starts that follow each other closer than this are one series of crashes, as in runtime/launch.py. */
const CRASH_GAP_SECONDS = 30;

/** How many starts, each soon after the one before, lead up to `now` (Unix seconds). */
export function crashSeries(starts: readonly Start[], now: number): number {
  const times = [...starts.map((start) => start.at), now];
  const pause = times.findLastIndex((at, index) => at - (times[index - 1] ?? -Infinity) > CRASH_GAP_SECONDS);
  return times.length - 1 - pause;
}

export const readStartHistory = (serviceHome: string): StartHistory => startHistory(readRecords(serviceHome));

/** Every start that is on record, those before a later `up` too. */
export const readStarts = (serviceHome: string): readonly Start[] =>
  readRecords(serviceHome).filter((record) => "at" in record);

const readRecords = (serviceHome: string): readonly StartRecord[] =>
  (readText(`${serviceHome}/starts.jsonl`)?.split("\n") ?? []).flatMap(recordsOf);

/** A line that is damaged counts as none. */
function recordsOf(line: string): readonly StartRecord[] {
  try {
    const record = JSON.parse(line) as StartRecord | null;
    return typeof record === "object" && record !== null ? [record] : [];
  } catch {
    return [];
  }
}

/** A file's text; undefined where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** A JSON file's content; undefined where there is none or it is damaged. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readText(path) ?? "null") ?? undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const TAIL_BYTES = 16_384;
const LINE_BYTES = 200;

/** The last lines of a log; none where there is no log. */
export function readTail(path: string, lines = 20): readonly string[] {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, Math.max(TAIL_BYTES, lines * LINE_BYTES)));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    const text = buffer.toString("utf8").trimEnd();
    return text === "" ? [] : text.split("\n").slice(-lines);
  } finally {
    closeSync(file);
  }
}
