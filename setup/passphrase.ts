import { randomBytes } from "node:crypto";
import { existsSync, linkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { temporaryName } from "#setup/atomic.ts";
import { makeProjectPlaces } from "#setup/places.ts";
import type { ProjectPlaces } from "#stack/places.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** True when the user's own Pulumi settings say what the passphrase is. */
export function bringsPassphrase(project: ProjectPlaces, env: Environment): boolean {
  const file = env["PULUMI_CONFIG_PASSPHRASE_FILE"];
  return env["PULUMI_CONFIG_PASSPHRASE"] !== undefined || (file !== undefined && !isOurs(project, file));
}

/** Below our state directory, of this checkout or of another one whose `env` this shell has seen. */
export function isOurs(project: ProjectPlaces, path: string): boolean {
  return path.startsWith(`${dirname(project.stateDir)}/`);
}

/** Makes the file with the passphrase that encrypts secrets in the state, once, unless the user brings their own. */
export function ensurePassphrase(project: ProjectPlaces, env: Environment): void {
  if (bringsPassphrase(project, env) || existsSync(project.passphraseFile)) return;
  makeProjectPlaces(project);
  refuseWhereStateIs(project);
  const temporary = temporaryName(project.passphraseFile);
  try {
    writeFileSync(temporary, randomBytes(32).toString("base64url"), { flag: "wx", mode: 0o600, flush: true });
    // A link, unlike a rename, does not replace the passphrase that another process made a moment ago.
    linkSync(temporary, project.passphraseFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A new passphrase would make the secrets in an existing state unreadable, with a puzzling message. */
function refuseWhereStateIs(project: ProjectPlaces): void {
  if (!existsSync(join(project.backendDir, ".pulumi", "stacks"))) return;
  throw new UserError(
    "PASSPHRASE_LOST",
    `passphrase: expected ${project.passphraseFile}, which the state in ${project.backendDir} is encrypted with, got no such file.`,
    { fix: "put it back from a backup, or move that state directory away and start anew" },
  );
}
