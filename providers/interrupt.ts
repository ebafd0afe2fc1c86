import { readdirSync } from "node:fs";
import { processIdentity } from "#checks/process-tree.ts";
import { readText } from "#observe/records.ts";

const LOOK_EVERY_MS = 200;

/** What an engine gives its plugins. */
const ADDRESS = /^[^\s/]+:\d+$/;

/**
 * Aborts when the run is cancelled. A provider's process hears nothing of that: its `cancel` is empty, and it is in a
 * process group of its own. But the Pulumi program stays until its last resource is through, and a cancelled engine
 * ends it at once; so a wait whose program has gone is a wait that nobody wants. `using` ends the watch.
 */
export function watchInterrupt(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const engine = process.argv.at(-1) ?? "";
  if (!ADDRESS.test(engine)) return { signal: controller.signal, [Symbol.dispose]: () => undefined };
  const program = findProgram(engine);
  const look = (): void => {
    if (program === undefined || processIdentity(program.pid)?.startTime !== program.startTime) controller.abort();
  };
  // It may have gone before this wait began: between the two the engine had to start this process, or to ask it.
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}

/** The program of the same engine: its arguments name the engine's address, as ours do. */
function findProgram(engine: string) {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const program = pids.find((pid) => {
    const args = argumentsOf(pid);
    return args.includes("--monitor") && args[args.indexOf("--engine") + 1] === engine;
  });
  return program === undefined ? undefined : processIdentity(Number(program));
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readText(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
  } catch {
    return [];
  }
}
