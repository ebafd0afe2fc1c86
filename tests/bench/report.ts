import { isMet, median, type Figure, type Findings, type Unit } from "./figure.ts";
import type { Machine } from "./machine.ts";

export interface ProbeReport extends Findings {
  readonly probe: string;
}

const HEADS = ["figure", "median", "range", "n", "against", "ratio", "goal", ""];

export function textReport(machines: readonly Machine[], reports: readonly ProbeReport[]): string {
  const [before, after = before] = machines;
  const notes = reports.flatMap(({ probe, notes: lines }) => [`\n${probe}:`, ...lines.map((line) => `  ${line}`)]);
  return [
    `${before?.date ?? ""}, ${before?.words ?? ""}`,
    `load average ${before?.load ?? "?"} before, ${after?.load ?? "?"} after`,
    "",
    ...table([HEADS, ...reports.flatMap(({ figures }) => figures.map(row))]),
    ...notes,
    "",
  ].join("\n");
}

function row(figure: Figure): readonly string[] {
  const { name, unit, samples, against, goal } = figure;
  const beside = against && median(against.samples);
  const met = isMet(figure);
  return [
    name,
    shown(median(samples), unit),
    `${plain(Math.min(...samples), unit)}-${plain(Math.max(...samples), unit)}`,
    String(samples.length),
    against && beside !== undefined ? `${against.name} ${shown(beside, unit)}` : "",
    beside === undefined ? "" : (median(samples) / beside).toFixed(2),
    goal ? `${goal.words} (${shown(goal.limit, unit)})` : "",
    met === undefined ? "" : met ? "met" : "MISSED",
  ];
}

const shown = (value: number, unit: Unit): string => `${plain(value, unit)} ${unit}`;

const plain = (value: number, unit: Unit): string => value.toFixed(unit === "s" ? 2 : 0);

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = HEADS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

export const jsonReport = (machines: readonly Machine[], reports: readonly ProbeReport[]): string =>
  `${JSON.stringify({
    machine: machines[0],
    loadAfter: machines.at(-1)?.load,
    probes: reports.map(({ probe, figures, notes }) => ({
      probe,
      figures: figures.map((figure) => ({ ...figure, median: median(figure.samples), met: isMet(figure) ?? null })),
      notes,
    })),
  })}\n`;
