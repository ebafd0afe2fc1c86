import type { Command } from "commander";
import { engine, passArguments, prepare } from "#cli/engine.ts";

export function define(command: Command): void {
  passArguments(command).action(async (args: readonly string[]) => {
    await engine("refresh", ["--yes", "--skip-preview", ...args], await prepare(command, { images: false }));
  });
}
