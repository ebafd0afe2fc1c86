import { existsSync, readFileSync } from "node:fs";
import { UserError } from "#cli/errors.ts";

/** Debian, or something that is made of it, such as Ubuntu. */
export function isDebianLike(): boolean {
  if (!existsSync("/usr/bin/apt-get") || !existsSync("/etc/os-release")) return false;
  return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync("/etc/os-release", "utf8"));
}

/** Installs packages without asking anything. Only root can. */
export async function aptInstall(
  { report, env }: { readonly report: (line: string) => void; readonly env: NodeJS.ProcessEnv },
  packages: readonly string[],
  why: string,
): Promise<void> {
  report(`apt-get: installing ${packages.join(", ")}, ${why}`);
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  // The lists may be missing or out of date; bringing them up to date first would cost seconds each time.
  const failure = (await apt(install, env)) && ((await apt(["update"], env)) ?? (await apt(install, env)));
  if (failure === undefined) return;
  throw new UserError("SETUP_FAILED", `apt-get: expected it to install ${packages.join(", ")}, got: ${failure}.`, {
    fix: `apt-get ${install.join(" ")}`,
  });
}

/** @returns what went wrong. */
async function apt(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { execa } = await import("execa");
  const ran = await execa("apt-get", ["--quiet", "--option", "DPkg::Lock::Timeout=120", ...args], {
    reject: false,
    all: true,
    stdin: "ignore",
    env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
    timeout: 900_000,
  });
  if (!ran.failed) return undefined;
  const errors = ran.all.split("\n").filter((line) => line.startsWith("E: "));
  return errors.at(-1)?.slice("E: ".length) ?? ran.shortMessage ?? "an unknown failure";
}
