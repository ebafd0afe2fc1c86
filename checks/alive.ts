import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";

/** How long a service's program has run; its launcher's waits do not count. */
export interface Uptime {
  readonly pid: number;
  readonly seconds: number;
}

export async function probeAlive(
  check: CheckOf<"alive">,
  uptime: (() => Promise<Uptime | undefined>) | undefined,
): Promise<Outcome> {
  if (uptime === undefined) return failed("the check was not told how long the service has run");
  return judgeAlive(check, await uptime());
}

/** A restart starts the count anew, so a program that keeps crashing never gets there. */
export function judgeAlive(check: CheckOf<"alive">, uptime: Uptime | undefined): Outcome {
  if (uptime === undefined) return pending("no program of the service runs");
  const words = `process ${uptime.pid} has been up for ${uptime.seconds.toFixed(1)} s`;
  return uptime.seconds >= check.seconds ? ready(words) : pending(`${words}, expected ${check.seconds} s`);
}
