import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import type { Account } from "#setup/context.ts";
import type { HostPlaces } from "#stack/places.ts";

/**
 * Makes the directories of this host. As root the service user may pass through them and read the tools; what lies
 * deeper decides for itself. Directories that are there keep their modes.
 */
export function makeHostPlaces(host: HostPlaces, account: Account | undefined): void {
  makeDirectory(host.cacheDir, 0o755);
  makeDirectory(host.stateHome, account === undefined ? 0o700 : 0o750, account);
  makeDirectory(host.runtimeHome, account === undefined ? 0o700 : 0o750, account);
}

function makeDirectory(dir: string, mode: number, group?: Account): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) return;
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, mode);
  if (group !== undefined) chownSync(dir, 0, group.gid);
}
