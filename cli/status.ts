import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { explainError, UserError } from "#cli/errors.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { statusTable } from "#cli/status-table.ts";
import { allReady, disabledServices, lookAtServices, withoutCheck, type StackStatus } from "#operations/status.ts";

const ATTEMPT_MS = 2000;
const REDRAW_MS = 2000;
/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const CLEAR = "\u001B[H\u001B[2J\u001B[3J";

export function define(command: Command): void {
  command
    .option("--json", "print one JSON object, and nothing else")
    .option("-w, --watch", "draw it again every 2 seconds, until Ctrl-C")
    .action(async ({ json, watch }: { readonly json?: true; readonly watch?: true }) => {
      if (json && watch) {
        throw new UserError("USAGE", "status: expected --json or --watch, got both.", {
          fix: "leave one out",
          exitCode: 2,
        });
      }
      if (watch) return redraw(() => look(command));
      const status = await look(command);
      process.stdout.write(json ? `${JSON.stringify(status)}\n` : statusTable(status));
      process.exitCode = status.ready ? 0 : 1;
    });
}

async function look(command: Command): Promise<StackStatus> {
  const selected = selectStack(command);
  const opened = openSelected(selected);
  const services = await lookAtServices(opened, { full: new Set(), attemptMs: ATTEMPT_MS });
  return {
    stack: selected.stack,
    ready: allReady(services),
    services: [...services.map(withoutCheck), ...disabledServices(opened, selected.config)],
  };
}

/** The stack file is read each time: someone may be editing it, and what is wrong with it then stands on the screen. */
async function redraw(take: () => Promise<StackStatus>): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  while (!stop.signal.aborted) {
    const text = await take().then(
      (status) => statusTable(status),
      (error: unknown) => `${explainError(error)}\n`,
    );
    process.stdout.write((process.stdout.isTTY ? CLEAR : "") + text);
    await sleep(REDRAW_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  process.exitCode = INTERRUPTED;
}
