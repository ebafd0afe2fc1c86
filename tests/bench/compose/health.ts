import { join } from "node:path";
import type { Check } from "#checks/check.ts";

/** The script that does a check's unit of work inside the container; it is mounted there. */
export const healthScript = { source: join(import.meta.dirname, "health.sh"), target: "/health.sh" };

/** What the engine is to ask in a container whose program listens on this port; undefined where nothing is asked. */
export function healthCommand(check: Check, port: number): readonly string[] | undefined {
  const asked = (...words: readonly string[]): readonly string[] => [
    ...["CMD", "bash", healthScript.target, check.kind, String(port)],
    ...words,
  ];
  if (check.kind === "alive") return undefined;
  if (check.kind === "http") return asked(new URL(check.url).pathname, String(check.status ?? 200));
  if (check.kind === "postgres") return asked(check.user, check.database);
  if (check.kind === "llama-server" || check.kind === "redis") return asked();
  if (check.kind === "dramatiq-worker") return asked(check.namespace, String(check.processes));
  throw new Error(`no health command for a check of kind ${check.kind}`);
}
