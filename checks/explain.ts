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

/** For a service that somebody else runs. */
export const externalFix = (name: string): string =>
  `start it where it runs (in: external: engineroom only asks it), or correct services.${name}.host and port`;

/** The text without any of the secrets, in clear or encoded. The longest goes first: one may lie inside another. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret !== "")
    .flatMap(formsOf)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, form) => rest.replaceAll(form, "(secret)"), text);
}

/** As it is, as in a URL (the strict form is that of Python's `quote`), as in JSON. */
function formsOf(secret: string): readonly string[] {
  const encoded = encodeURIComponent(secret);
  const strict = encoded.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  return [secret, encoded, strict, JSON.stringify(secret).slice(1, -1)];
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
