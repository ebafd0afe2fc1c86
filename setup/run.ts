import type { SetupContext } from "#setup/context.ts";

export interface Ran {
  readonly ok: boolean;
  readonly output: string;
  /** Why it could not be started or did not succeed, in one line. */
  readonly reason: string;
}

// execa is imported where it is used: when all parts are there, as nearly always, loading it would be the longest step.

/** Starts a program to see that it works here: as the service user, where there is one, and from a neutral place. */
export async function tryProgram(
  context: SetupContext,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const { execa } = await import("execa");
  const result = await execa(file, args, {
    reject: false,
    extendEnv: false,
    env: { PATH: context.env["PATH"], LC_ALL: "C", ...env },
    cwd: "/",
    stdin: "ignore",
    all: true,
    timeout: 20_000,
    ...context.runAs,
  });
  return { ok: !result.failed, output: result.all, reason: lastLine(result.all) ?? result.shortMessage ?? "" };
}

/** The version that `pattern`'s first group finds in what the program prints; undefined when it does not start. */
export async function versionOf(
  context: SetupContext,
  file: string,
  args: readonly string[],
  pattern: RegExp,
  env?: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const ran = await tryProgram(context, file, args, env);
  return ran.ok ? pattern.exec(ran.output)?.[1] : undefined;
}

export function lastLine(text: string): string | undefined {
  return text.trim().split("\n").at(-1)?.trim() || undefined;
}
