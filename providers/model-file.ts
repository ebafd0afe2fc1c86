import { basename } from "node:path";
import { explain } from "#checks/explain.ts";
import { inspectModelFile } from "#checks/model-file.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import type { ModelFileInputs } from "./resources.ts";
import { watchInterrupt } from "./interrupt.ts";
import { progressOf } from "./progress.ts";

/** A download of a large model by other means; a file that is there is judged at once. */
const WAIT_MS = 3_600_000;
/** One attempt may hash a file of many gigabytes. */
const ATTEMPT_MS = 1_800_000;

export async function create(inputs: ModelFileInputs) {
  return { id: inputs.path, outs: await prove(inputs) };
}

export async function update(_id: string, _olds: ModelFileInputs, inputs: ModelFileInputs) {
  return { outs: await prove(inputs) };
}

/** Waits until the file is whole, at rest, and has the declared content. */
export async function prove(inputs: ModelFileInputs): Promise<ModelFileInputs & { readonly detail: string }> {
  const progress = progressOf(inputs.progressUrn);
  using interrupt = watchInterrupt();
  const report = await waitUntilFinal(
    (signal) => inspectModelFile(inputs, { level: "full", cacheFile: inputs.cacheFile, signal }),
    { timeoutMs: WAIT_MS, attemptMs: ATTEMPT_MS },
    { signal: interrupt.signal, onPending: ({ reason }) => progress(reason) },
  );
  if (report.outcome.status !== "ready") throw new Error(explain(basename(inputs.path), report));
  return { ...inputs, detail: report.outcome.detail };
}
