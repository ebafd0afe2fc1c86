import type { WaitReport } from "#checks/check.ts";

const LOG_LINES = 20;

export interface ExplainOptions {
  /** Used when the outcome brings no fix of its own. */
  readonly fix?: string;
  /** The service's last log lines; the last 20 are shown. */
  readonly log?: readonly string[];
}

/** The words for a wait that ended, whatever its end. */
export function explain(name: string, report: WaitReport, options: ExplainOptions = {}): string {
  const { outcome } = report;
  if (outcome.status === "ready") return `${name}: ready after ${seconds(report.elapsedMs)}. ${outcome.detail}`;
  const fix = outcome.status === "failed" ? (outcome.fix ?? options.fix) : options.fix;
  const head =
    outcome.status === "failed"
      ? `${name}: ${sentence(outcome.reason)}`
      : `${name}: ${report.cancelled ? "interrupted" : "not ready"} after ${seconds(report.elapsedMs)} ` +
        `(${count(report.attempts, "attempt")}). Last: ${sentence(outcome.reason)}`;
  return head + (fix === undefined ? "" : ` Fix: ${fix}`) + logTail(options.log ?? []);
}

/** The text without any of the secrets. The longest goes first, so that a secret inside another leaves no rest. */
export function redact(text: string, secrets: readonly string[]): string {
  return [...secrets]
    .filter((secret) => secret !== "")
    .sort((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "(secret)"), text);
}

function logTail(log: readonly string[]): string {
  if (log.length === 0) return "";
  const lines = log.slice(-LOG_LINES);
  const title = lines.length === 1 ? "Last log line" : `Last ${lines.length} log lines`;
  return [`\n  ${title}:`, ...lines.map((line) => `    ${line}`)].join("\n");
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
