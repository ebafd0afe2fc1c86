import { statSync } from "node:fs";
import type { CommandEnd } from "#checks/command.ts";
import { readJson, readText } from "#observe/records.ts";

/** The place where a service runs: this host, as its user and with its variables, or its container. */
export interface Inside {
  /** Runs a program beside it, in its directory, with all that its own program got. */
  readonly run: (argv: readonly string[], signal: AbortSignal) => Promise<CommandEnd>;
  /** Text of a file; undefined where there is none. */
  readonly read: (path: string, signal: AbortSignal) => Promise<string | undefined>;
}

interface Launch {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** @param home the service's own directory, in which apply.py has put what its program gets. */
export const insideHost = (home: string): Inside => ({
  run: async (argv, signal) => {
    const path = `${home}/launch.json`;
    const launch = readJson(path) as Launch | undefined;
    if (launch === undefined) throw new Error(`${path} cannot be read`);
    const { uid, gid } = statSync(path);
    const { cwd, env } = launch;
    // The file is its account's own; only root can become another one, and needs not if it is that one.
    const account = process.getuid?.() === 0 && uid !== 0 ? { uid, gid } : {};
    const { runCommand } = await import("#checks/command.ts");
    return runCommand(argv, { cwd, env, ...account }, signal);
  },
  read: (path) => Promise.resolve(readText(path)),
});
