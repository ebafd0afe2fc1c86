import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";

/** Options that every command takes, before or after its name. */
export interface GlobalOptions {
  readonly stack: string | undefined;
  /** False: nothing is installed, what is missing is an error. */
  readonly install: boolean;
}

export function globalOptions(command: Command): GlobalOptions {
  const { stack, install } = command.optsWithGlobals<{ stack?: string; install: boolean }>();
  return { stack, install: install && process.env["ENGINEROOM_NO_INSTALL"] !== "1" };
}

/** Real path of the checkout. */
export const projectDir = realpathSync(dirname(import.meta.dirname));

/** Steps are told on standard error: standard output belongs to the command's answer. */
export function report(line: string): void {
  process.stderr.write(`${line}\n`);
}
