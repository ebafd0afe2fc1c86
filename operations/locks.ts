import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { StackPlaces } from "#stack/places.ts";

/** Project name of Pulumi.yaml, as it stands in the backend's paths. */
export const PROJECT = "engineroom";

/** A lock of Pulumi on a stack: somebody changes it, or died while they did. */
export interface StackLock {
  readonly file: string;
  readonly pid: number;
  readonly user: string;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
  /** False only when it is certain: same host, and that PID is no Pulumi that was there when the lock was made. */
  readonly alive: boolean;
}

/** Locks in our own file backend (`pulumi/pkg/backend/diy/lock.go`); none where the user brings another backend. */
export function stackLocks({ backendDir, stack }: Pick<StackPlaces, "backendDir" | "stack">): readonly StackLock[] {
  const directory = join(backendDir, ".pulumi", "locks", "organization", PROJECT, stack);
  // Beside each lock lies `NAME.json.attrs`, and while one is written a file without an end to its name.
  const names = namesIn(directory).filter((name) => name.endsWith(".json"));
  return names.flatMap((name) => readLock(join(directory, name)) ?? []);
}

/** Takes a dead run's lock away, as Pulumi would have. */
export function removeLock({ file }: StackLock): void {
  rmSync(file, { force: true });
  rmSync(`${file}.attrs`, { force: true });
}

function readLock(file: string): StackLock | undefined {
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as {
      readonly pid: number;
      readonly username: string;
      readonly hostname: string;
      readonly timestamp: string;
    };
    const { pid, username, hostname: host, timestamp } = content;
    const alive = host !== hostname() || isPulumiSince(pid, Date.parse(timestamp));
    return { file, pid, user: username, host, since: timestamp, alive };
  } catch (error) {
    // Gone meanwhile: its owner was faster.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return { file, pid: 0, user: "unknown", host: hostname(), since: "unknown", alive: true };
  }
}

/** /proc/PID is made when the process is; a PID that was given out again is younger than the lock. */
function isPulumiSince(pid: number, lockedAt: number): boolean {
  try {
    const isPulumi = readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("pulumi");
    return isPulumi && statSync(`/proc/${pid}`).ctimeMs <= lockedAt + 1000;
  } catch {
    return false;
  }
}

/** What an interrupted run was in the middle of, from the last checkpoint: `creating`, `updating` … and URN. */
export function pendingOperations({
  backendDir,
  stack,
}: Pick<StackPlaces, "backendDir" | "stack">): readonly PendingOperation[] {
  try {
    const { checkpoint } = JSON.parse(readFileSync(checkpointFile(backendDir, stack), "utf8")) as Checkpoint;
    return (checkpoint.latest?.pending_operations ?? []).map(({ type, resource }) => ({ type, urn: resource.urn }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export interface PendingOperation {
  readonly type: string;
  readonly urn: string;
}

interface Checkpoint {
  readonly checkpoint: {
    readonly latest?: {
      readonly pending_operations?: readonly { readonly type: string; readonly resource: { readonly urn: string } }[];
    };
  };
}

export const checkpointFile = (backendDir: string, stack: string): string =>
  join(backendDir, ".pulumi", "stacks", PROJECT, `${stack}.json`);

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
