import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { processIdentity, upSeconds } from "#checks/process-tree.ts";

export async function probeAlive(
  check: CheckOf<"alive">,
  processTree: (() => Promise<readonly number[]>) | undefined,
): Promise<Outcome> {
  if (processTree === undefined) return failed("the check was not told which processes are the service's own");
  const [first] = await processTree();
  const identity = first === undefined ? undefined : processIdentity(first);
  return judgeAlive(check, identity === undefined ? undefined : { pid: identity.pid, up: upSeconds(identity) });
}

/** A restart starts the count anew, so a program that keeps crashing never gets there. */
export function judgeAlive(
  { seconds }: CheckOf<"alive">,
  main: { readonly pid: number; readonly up: number } | undefined,
): Outcome {
  if (main === undefined) return pending("no process of the service runs");
  const words = `process ${main.pid} has been up for ${main.up.toFixed(1)} s`;
  return main.up >= seconds ? ready(words) : pending(`${words}, expected ${seconds} s`);
}
