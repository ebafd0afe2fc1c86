import { statSync } from "node:fs";
import { lives, processIdentity } from "#checks/process-tree.ts";
import type { StackPlaces } from "#stack/places.ts";
import { readJson, readText } from "./records.ts";

/** That an `up` under way waits for a service's model file. */
export interface ModelWait {
  readonly reason: string;
  /** Unix seconds at which it gives up. */
  readonly until: number;
}

/** Who waits: a note of somebody who was killed says nothing. */
interface Waiter {
  readonly pid: number;
  readonly start: number;
  readonly boot: string;
}

/** Beside the stack's own directory, which its services' user owns. */
export const modelWaitFile = ({ stateDir, stack }: StackPlaces, service: string): string =>
  `${stateDir}/waits/${stack}/${service}.json`;

/** What stands in the file while this process waits. */
export function modelWaitNote(wait: ModelWait): string {
  const self = processIdentity(process.pid);
  const waiter: Waiter = { pid: process.pid, start: self?.startTime ?? 0, boot: self?.bootId ?? "" };
  return JSON.stringify({ ...wait, ...waiter });
}

export function readModelWait(file: string): ModelWait | undefined {
  const note = readJson(file) as (ModelWait & Waiter) | undefined;
  return note && lives(note) ? { reason: note.reason, until: note.until } : undefined;
}

/** Where the stamp of a file is noted that came while it was waited for. */
export const arrivedFile = (waitFile: string): string => `${waitFile}.arrived`;

/**
 * The stamp of a model file as an input of its proof. One that came during the wait was proven when the input was still
 * empty, and stays empty: it is the same file.
 */
export function modelStamp(path: string, waitFile: string): string {
  const stamp = fileStamp(path);
  return stamp !== "" && readText(arrivedFile(waitFile)) === stamp ? "" : stamp;
}

/** Changes when a file does; empty while there is none. */
export function fileStamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.size}-${stat.mtimeMs}-${stat.ino}` : "";
}
