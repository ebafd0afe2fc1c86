import { lives, processIdentity } from "#checks/process-tree.ts";
import type { StackPlaces } from "#stack/places.ts";
import { readJson } from "./records.ts";

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

export const modelWaitFile = ({ stackDir }: StackPlaces, service: string): string =>
  `${stackDir}/waits/${service}.json`;

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
