import { parseArgs } from "node:util";
import { checkout } from "../support/checkout.ts";
import { sweep } from "../support/sweep.ts";
import type { Probe } from "./context.ts";
import { machine } from "./machine.ts";
import { compose, composeMany } from "./probes/compose.ts";
import { handover } from "./probes/handover.ts";
import { memory } from "./probes/memory.ts";
import { preview } from "./probes/preview.ts";
import { stream } from "./probes/stream.ts";
import { warmUp } from "./probes/warm-up.ts";
import { jsonReport, textReport, type ProbeReport } from "./report.ts";

const probes: readonly Probe[] = [warmUp, handover, preview, memory, stream, compose, composeMany];

const USAGE = `npm run bench -- [--only NAME]... [--runs N] [--json]
Measures this working tree, in places of its own; needs what ./engineroom setup makes.
${probes.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join("\n")}
`;

interface Options {
  readonly chosen: readonly Probe[];
  readonly runs: number;
  readonly json: boolean;
}

function options(): Options | undefined {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      runs: { type: "string", default: "5" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const names = values.only ?? probes.map(({ name }) => name);
  const chosen = probes.filter(({ name }) => names.includes(name));
  const runs = Number(values.runs);
  const known = names.every((name) => probes.some((probe) => probe.name === name));
  if (values.help || !known || !Number.isInteger(runs) || runs < 1) return undefined;
  return { chosen, runs, json: values.json };
}

const stop = new AbortController();

async function main({ chosen, runs, json }: Options): Promise<void> {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => stop.abort(new Error("interrupted")));
  }
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  await sweep();
  using copy = checkout();
  const before = machine();
  const reports: ProbeReport[] = [];
  for (const probe of chosen) {
    const findings = await probe.run({ checkout: copy, runs, signal: stop.signal, say });
    reports.push({ probe: probe.name, ...findings });
  }
  const machines = [before, machine()];
  process.stdout.write(json ? jsonReport(machines, reports) : textReport(machines, reports));
}

/** What failed first, and then what failed when it was taken down. */
const words = (error: unknown): string =>
  error instanceof SuppressedError
    ? `${words(error.suppressed)}\nand then: ${words(error.error)}`
    : error instanceof Error
      ? error.message
      : String(error);

const wanted = options();
if (wanted === undefined) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  try {
    await main(wanted);
  } catch (error) {
    process.stderr.write(`bench: ${words(error)}\n`);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
}
