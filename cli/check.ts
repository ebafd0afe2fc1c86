import type { Command } from "commander";
import { chooseServices } from "#cli/choose.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { stateCell } from "#cli/status-table.ts";
import { table } from "#cli/table.ts";
import { allReady, disabledServices, lookAtServices, type CheckedService } from "#operations/status.ts";

/** A model server under load may need long for its token. */
const ATTEMPT_MS = 15_000;

export function define(command: Command): void {
  command
    .argument("[services...]", "which to check; all without any")
    .option("--json", "print one JSON object, and nothing else")
    .action(async (names: readonly string[], { json }: { readonly json?: true }) => {
      const selected = selectStack(command);
      const opened = openSelected(selected);
      const full = new Set(chooseServices(names, opened.plan).map((service) => service.name));
      const services = await lookAtServices(opened, { full, attemptMs: ATTEMPT_MS });
      const chosen = services.filter((service) => full.has(service.name));
      // Who names a service wants to know about it, required or not.
      const ready = names.length > 0 ? chosen.every((service) => service.ready) : allReady(chosen);
      const off = disabledServices(opened, selected.config).map((service) => ({
        ...service,
        required: false,
        detail: null,
      }));
      const shown = names.length > 0 ? chosen : [...chosen, ...off];
      process.stdout.write(json ? jsonOf(selected.stack, ready, shown) : checkTable(shown));
      process.exitCode = ready ? 0 : 1;
    });
}

function jsonOf(stack: string, ready: boolean, checked: readonly CheckedService[]): string {
  const services = checked.map(({ required, ...service }) => service);
  return `${JSON.stringify({ stack, ready, services })}\n`;
}

export const checkTable = (services: readonly CheckedService[], colour?: boolean): string =>
  table(
    services.map(({ name, state, reason, detail }) => [
      name,
      stateCell(state),
      [detail, reason].filter((words) => words !== null).join("; "),
    ]),
    colour,
  );
