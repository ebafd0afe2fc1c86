import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Account } from "#setup/context.ts";
import { serviceAccount } from "#setup/system-user.ts";
import type { HostPlaces, ProjectPlaces } from "#stack/places.ts";

/**
 * Makes the directories of this host. As root the service user may pass through them and read the tools; what lies
 * deeper decides for itself. Directories that are there keep their modes.
 *
 * @param account the service user, where host services run as it.
 */
export function makeHostPlaces(host: HostPlaces, account: Account | undefined): void {
  makeDirectory(host.cacheDir, 0o755);
  makePassable(host.stateHome, account);
  makePassable(host.runtimeHome, account);
}

/** Makes the state directory of a project, and in it that of Pulumi, which is for its owner alone. */
export function makeProjectPlaces(project: ProjectPlaces): void {
  const account = process.getuid?.() === 0 ? serviceAccount() : undefined;
  makePassable(dirname(project.stateDir), account);
  makePassable(project.stateDir, account);
  makeDirectory(project.backendDir, 0o700);
}

function makePassable(dir: string, account: Account | undefined): void {
  makeDirectory(dir, account === undefined ? 0o700 : 0o750, account);
}

function makeDirectory(dir: string, mode: number, group?: Account): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) return;
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, mode);
  if (group !== undefined) chownSync(dir, 0, group.gid);
}
