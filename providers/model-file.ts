import { rmdirSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { explain } from "#checks/explain.ts";
import { inspectModelFile } from "#checks/model-file.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { arrivedFile, fileStamp, modelWaitNote } from "#observe/model-wait.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import type { ModelFileInputs } from "./resources.ts";
import { watchInterrupt } from "./interrupt.ts";
import { progressOf } from "./progress.ts";

/** A display that only appends must not drown in words. */
const WORDS_EVERY_MS = 2000;
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
  const { waitFile, waitSeconds = 3600 } = inputs;
  const until = Date.now() / 1000 + waitSeconds;
  let spokenAt = -WORDS_EVERY_MS;
  const onPending = ({ reason }: { readonly reason: string }, elapsedMs: number) => {
    if (elapsedMs - spokenAt < WORDS_EVERY_MS) return;
    spokenAt = elapsedMs;
    progress(`${reason} (${Math.max(0, Math.ceil(waitSeconds - elapsedMs / 1000))} s left)`);
    if (waitFile !== undefined) writeFileAtomic(waitFile, modelWaitNote({ reason, until }));
  };
  using interrupt = watchInterrupt();
  const report = await waitUntilFinal(
    (signal) => inspectModelFile(inputs, { level: "full", cacheFile: inputs.cacheFile, signal }),
    { timeoutMs: waitSeconds * 1000, attemptMs: ATTEMPT_MS },
    { signal: interrupt.signal, onPending },
  );
  if (waitFile !== undefined) forget(waitFile);
  if (report.outcome.status === "ready") {
    if (waitFile !== undefined && inputs.stamp === "") writeFileAtomic(arrivedFile(waitFile), fileStamp(inputs.path));
    return { ...inputs, detail: report.outcome.detail };
  }
  const fix = `bring the file, then ./engineroom up; \`waitTimeout\` is ${waitSeconds} s`;
  throw new Error(explain(basename(inputs.path), report, { fix }));
}

function remove(_id: string, { waitFile }: ModelFileInputs): Promise<void> {
  if (waitFile !== undefined) forget(waitFile, arrivedFile(waitFile));
  return Promise.resolve();
}

export { remove as delete };

/** Notes, and their directories where they were the last ones. */
function forget(...files: readonly string[]): void {
  for (const file of files) rmSync(file, { force: true });
  const [file = ""] = files;
  try {
    rmdirSync(dirname(file));
    rmdirSync(dirname(dirname(file)));
  } catch {
    // There were none, or others have some.
  }
}
