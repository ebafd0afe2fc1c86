import type { Inside } from "#checks/inside.ts";
import type { CommandEnd } from "#checks/command.ts";
import { askEngine, askEngineText } from "#setup/docker-api.ts";

/** @param id of a container that runs. */
export const insideContainer = (host: string, id: string): Inside => ({
  run: async (argv, signal) => {
    const { end, lines } = await runIn(host, id, argv, signal);
    return { ...end, lastLine: lines.at(-1) ?? "" };
  },
  read: async (path, signal) => {
    const { end, lines } = await runIn(host, id, ["cat", path], signal);
    return end.exitCode === 0 ? lines.join("\n") : undefined;
  },
});

interface Run {
  readonly end: Omit<CommandEnd, "lastLine">;
  readonly lines: readonly string[];
}

interface Exec {
  readonly Running: boolean;
  readonly ExitCode: number | null;
  /** As this host counts. */
  readonly Pid: number;
}

/** Exit codes of the engine for a program that is not there, or no program. */
const NOT_FOUND = 127;
const NO_PROGRAM = 126;

async function runIn(host: string, id: string, argv: readonly string[], signal: AbortSignal): Promise<Run> {
  const entry = await entryOf(host, id, signal);
  const { Id } = await askEngine<{ readonly Id: string }>(host, {
    method: "POST",
    path: `/containers/${id}/exec`,
    // A terminal has one stream, which needs no taking apart.
    json: { Cmd: [...entry, ...argv], AttachStdout: true, AttachStderr: true, Tty: true },
    signal,
  });
  const start = { method: "POST" as const, path: `/exec/${Id}/start`, json: { Detach: false, Tty: true }, signal };
  const text = await askEngineText(host, start).catch((error: unknown) => {
    if (signal.aborted) return "";
    throw error;
  });
  const exec = await askEngine<Exec>(host, { path: `/exec/${Id}/json` });
  if (exec.Running) end(exec.Pid);
  const exitCode = exec.ExitCode ?? undefined;
  const code = exitCode === NOT_FOUND ? "ENOENT" : exitCode === NO_PROGRAM ? "EACCES" : undefined;
  return {
    end: { exitCode, signal: undefined, code, timedOut: exec.Running },
    lines: text.trimEnd().split(/\r?\n/),
  };
}

/** Variables that hold secrets come from entry.sh (runtime/container-spec.ts), for whoever runs beside it, too. */
async function entryOf(host: string, id: string, signal: AbortSignal): Promise<readonly string[]> {
  const { Config } = await askEngine<{ readonly Config: { readonly Entrypoint: readonly string[] | null } }>(host, {
    path: `/containers/${id}/json`,
    signal,
  });
  const entry = Config.Entrypoint ?? [];
  return entry.at(-1)?.endsWith("/entry.sh") === true ? entry : [];
}

/** The engine has no call for it. It has just said that this is the process; another user's only root may end. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended, or may not be ended by us; then it ends with its container.
  }
}
