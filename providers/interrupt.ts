import { existsSync } from "node:fs";

const LOOK_EVERY_MS = 200;

/**
 * Aborts when the command line has left its mark: a provider's process hears nothing of a Ctrl-C (its `cancel` is
 * empty, and it is in a process group of its own). `using` ends the watch.
 */
export function watchInterrupt(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const mark = process.env["ENGINEROOM_INTERRUPT"];
  const timer = setInterval(() => {
    if (mark !== undefined && existsSync(mark)) controller.abort();
  }, LOOK_EVERY_MS);
  return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) };
}
