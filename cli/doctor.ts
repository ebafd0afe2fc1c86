import type { Command } from "commander";
import { openSelected, selectStack } from "#cli/open.ts";
import { table, wantsColour, type Cell } from "#cli/table.ts";
import { lookAround } from "#observe/world.ts";
import { examine, type Finding } from "#operations/doctor.ts";

export function define(command: Command): void {
  command
    .option("--json", "print one JSON object, and nothing else")
    .action(async ({ json }: { readonly json?: true }) => {
      const selected = selectStack(command);
      const world = await lookAround(openSelected(selected));
      const findings = await examine(world, process.env);
      const ok = findings.every((finding) => finding.ok);
      process.stdout.write(
        json ? `${JSON.stringify({ stack: selected.stack, ok, findings })}\n` : findingsTable(findings),
      );
      process.exitCode = ok ? 0 : 1;
    });
}

export const findingsTable = (findings: readonly Finding[], colour = wantsColour()): string =>
  table(findings.map(row), colour);

function row(finding: Finding): readonly (string | Cell)[] {
  if (finding.ok) return [{ text: "ok", mood: "good" }, finding.where, finding.got];
  const { where, expected, got, fix, code } = finding;
  return [{ text: "problem", mood: "bad" }, `${where}: expected ${expected}, got ${got}. Fix: ${fix} [${code}]`];
}
