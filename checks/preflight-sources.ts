import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { World } from "#observe/world.ts";
import type { Account } from "#setup/context.ts";
import { serviceAccount } from "#setup/system-user.ts";
import type { ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";

/** Of services that run in a directory of their user's: the packages that they need are there, and they get in. */
export function sourceProblems({ plan, context }: World): readonly Problem[] {
  const account = context.host.asRoot ? serviceAccount() : undefined;
  return plan.services.flatMap((service) => {
    const { source } = service;
    if (!source) return [];
    const { packages } = source;
    if (packages && !existsSync(packages.path)) return [missing(service, packages)];
    const shut =
      account && (shutOut(source.path, account, READ) ?? (packages && shutOut(packages.path, account, WRITE)));
    return shut ? [closed(service, shut)] : [];
  });
}

const missing = ({ name }: ServicePlan, { path, command }: { readonly path: string; readonly command: string }) => ({
  code: "PACKAGES_MISSING",
  where: `services.${name}.build`,
  expected: `the packages of its dev server in ${path}`,
  got: "no such directory",
  fix: command,
});

/** Bits of a directory's mode. */
const READ = 0o5;
const WRITE = 0o7;
const ENTER = 0o1;

interface Shut {
  readonly path: string;
  readonly wanted: number;
}

/** The first directory on the way to `path` that keeps the account out. Root would get in everywhere, so modes are read. */
function shutOut(path: string, account: Account, wanted: number): Shut | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : shutOut(parent, account, ENTER);
  return above ?? (may(path, account, wanted) ? undefined : { path, wanted });
}

function may(path: string, { uid, gid }: Account, wanted: number): boolean {
  const stat = statSync(path);
  const own = stat.uid === uid ? stat.mode >> 6 : stat.gid === gid ? stat.mode >> 3 : stat.mode;
  return (own & wanted) === wanted;
}

function closed({ name }: ServicePlan, { path, wanted }: Shut): Problem {
  const what = { [READ]: "read", [WRITE]: "write", [ENTER]: "enter" }[wanted] ?? "read";
  const fix = wanted === WRITE ? `chown -R engineroom ${path}` : `chmod o+rx ${path}`;
  return {
    code: "SOURCE_ACCESS",
    where: `services.${name}.build`,
    expected: `the account engineroom, as which services run where root starts them, to ${what} ${path}`,
    got: `mode ${(statSync(path).mode & 0o777).toString(8).padStart(4, "0")}`,
    fix: `${fix}, or run engineroom as the user who owns the directory`,
  };
}
