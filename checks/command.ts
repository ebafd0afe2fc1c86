import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import type { Inside } from "#checks/inside.ts";

type CommandCheck = CheckOf<"command">;

/** How one run ended, and the last line that it printed. */
export interface CommandEnd {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Set when it could not be started. */
  readonly code: string | undefined;
  readonly timedOut: boolean;
  readonly lastLine: string;
}

const LINE_LIMIT = 200;

export async function probeCommand(
  check: CommandCheck,
  signal: AbortSignal,
  inside: Inside | undefined,
): Promise<Outcome> {
  const { argv, cwd } = check;
  return judgeCommand(
    check,
    inside === undefined ? await runCommand(argv, { ...(cwd && { cwd }) }, signal) : await inside.run(argv, signal),
  );
}

/** Where and as whom a program runs; what is absent is as it is for this process. */
export interface RunAs {
  readonly cwd?: string;
  /** Every variable that it gets. */
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

export async function runCommand(argv: readonly string[], as: RunAs, signal: AbortSignal): Promise<CommandEnd> {
  const { execa } = await import("execa");
  const [program = "", ...args] = argv;
  // A group of its own, so that what the program started ends with it when it hangs.
  const run = execa(program, args, {
    ...as,
    extendEnv: as.env === undefined,
    reject: false,
    detached: true,
    stdin: "ignore",
    all: true,
    maxBuffer: 1024 * 1024,
  });
  const kill = () => {
    if (run.pid !== undefined) killGroup(run.pid);
  };
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  try {
    const { exitCode, signal: endedBy, code, all } = await run;
    return {
      exitCode,
      signal: endedBy,
      code,
      timedOut: signal.aborted,
      lastLine: all.trimEnd().split("\n").at(-1)?.slice(0, LINE_LIMIT) ?? "",
    };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

export function judgeCommand(check: CommandCheck, end: CommandEnd): Outcome {
  const program = check.argv[0] ?? "";
  const last = end.lastLine === "" ? "" : `: ${end.lastLine}`;
  if (end.timedOut) return pending(`${program} did not end in time${last}`);
  if (end.exitCode === 0) return ready(`${program} ended with exit code 0`);
  if (end.code === "ENOENT")
    return failed(
      check.cwd === undefined
        ? `the program ${program} was not found`
        : `the program ${program} or the directory ${check.cwd} was not found`,
      "correct the check's command",
    );
  if (end.code === "EACCES") return failed(`the program ${program} may not be run`, `chmod +x ${program}`);
  if (end.signal !== undefined) return pending(`${program} was ended by ${end.signal}${last}`);
  return pending(`${program} ended with exit code ${end.exitCode ?? "none"}${last}`);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
