import { readFileSync } from "node:fs";
import { UserError } from "#cli/errors.ts";
import type { Account } from "#setup/context.ts";
import { lastLine } from "#setup/run.ts";
import { SERVICE_USER } from "#stack/places.ts";

/** The account that runs every host service when engineroom runs as root; undefined before set-up made it. */
export function serviceAccount(): Account | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${SERVICE_USER}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

export function noAccount(): UserError {
  return new UserError(
    "SETUP_MISSING",
    `system user: expected \`${SERVICE_USER}\`, which runs every host service when root starts them, got none.`,
    {
      fix: "./engineroom setup",
      exitCode: 2,
    },
  );
}

/** Makes the account unless it is there. Only root can. */
export async function makeServiceAccount(home: string, report: (line: string) => void): Promise<Account> {
  const existing = serviceAccount();
  if (existing !== undefined) return existing;
  const options = ["--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin"];
  const { execa } = await import("execa");
  const made = await execa("useradd", [...options, SERVICE_USER], { reject: false, all: true, timeout: 20_000 });
  const account = serviceAccount();
  // A set-up at the same moment may have made it first.
  if (account === undefined) {
    throw new UserError(
      "SETUP_FAILED",
      `system user: expected useradd to make \`${SERVICE_USER}\`, got: ${lastLine(made.all) ?? made.shortMessage ?? ""}.`,
      {
        fix: `useradd ${options.join(" ")} ${SERVICE_USER}`,
      },
    );
  }
  if (!made.failed)
    report(`system user ${SERVICE_USER} (uid ${account.uid}): made with useradd, runs every host service`);
  return account;
}
