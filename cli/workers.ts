import type { Command } from "commander";
import { confirm } from "#cli/engine.ts";
import { UserError } from "#cli/errors.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { report } from "#cli/options.ts";
import { ago } from "#cli/status-table.ts";
import { painted, table, wantsColour, type Cell } from "#cli/table.ts";
import type { Consumer, Verdict } from "#operations/judge-workers.ts";
import { auditWorkers, endStrays, straysOf, type BrokerAudit, type WorkersAudit } from "#operations/workers.ts";

const END = "end-strays";

interface Options {
  readonly json?: true;
  readonly yes?: true;
}

export function define(command: Command): void {
  command
    .argument("[action]", `${END}: end the programs that are left over from this stack; nobody else's`)
    .option("--json", "print one JSON object, and nothing else")
    .option("-y, --yes", "do not ask")
    .action(async (action: string | undefined, { json, yes }: Options) => {
      if (action !== undefined && action !== END) {
        throw new UserError("USAGE", `workers: expected ${END} or nothing, got \`${action}\`.`, {
          fix: "./engineroom workers --help",
          exitCode: 2,
        });
      }
      const opened = openSelected(selectStack(command));
      const before = await auditWorkers(opened);
      const strays = action === END ? straysOf(before) : [];
      if (strays.length > 0) {
        await confirm(`workers: end ${strays.map(wordsOf).join("; ")}?`, yes === true);
        for (const line of await endStrays(opened, strays)) report(line);
      } else if (action === END) report("workers: nothing of this stack is left over");
      const audit = strays.length > 0 ? await auditWorkers(opened) : before;
      process.stdout.write(json ? `${JSON.stringify(audit)}\n` : auditText(audit));
      process.exitCode = audit.verdict === "good" || audit.verdict === "warning" ? 0 : 1;
    });
}

const wordsOf = ({ pid, service, command }: Consumer): string =>
  `${service ?? ""} (process ${pid ?? "?"}: ${command ?? "?"})`;

const MOODS: Readonly<Record<Verdict, Cell["mood"]>> = {
  good: "good",
  warning: "middling",
  critical: "bad",
  unknown: "bad",
};

/** @param now Unix milliseconds. */
export function auditText(audit: WorkersAudit, now = Date.now(), colour = wantsColour()): string {
  if (audit.brokers.length === 0) return `stack ${audit.stack} has no broker\n`;
  return audit.brokers.map((broker) => brokerText(broker, now, colour)).join("\n");
}

function brokerText(broker: BrokerAudit, now: number, colour: boolean): string {
  const { service, address, verdict, reasons, processes, expected, consumers } = broker;
  const word = painted(verdict, { text: verdict, mood: MOODS[verdict] }, colour);
  const consuming = processes === 1 ? "1 process consumes" : `${processes} processes consume`;
  const head = `${service} (${address}): ${word}, ${consuming}, at most ${expected} are declared`;
  const heads = ["OWNER", "SERVICE", "WORKER", "PID", "PROCESSES", "SINCE", "WHERE", "COMMAND"];
  const rows = consumers.length === 0 ? [] : [heads, ...consumers.map((consumer) => row(consumer, now))];
  return [head, ...reasons.map((reason) => `  ${reason}`), ""].join("\n") + table(rows, colour);
}

function row(consumer: Consumer, now: number): readonly (string | Cell)[] {
  const { owner, service, claims, framework, pid, processes, startedAt, container, cwd, address, command } = consumer;
  return [
    { text: owner, mood: owner === "own" ? "good" : "bad" },
    service ?? (claims === null ? "" : `(claims ${claims})`),
    framework ?? "unknown",
    pid === null ? "" : String(pid),
    String(processes),
    startedAt === null ? "" : ago(now - Date.parse(startedAt)),
    container ? `${container.name} (${container.id.slice(0, 12)})` : (cwd ?? address),
    command ?? "",
  ];
}
