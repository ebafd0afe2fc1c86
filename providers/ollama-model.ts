import { explain } from "#checks/explain.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { watchInterrupt } from "./interrupt.ts";
import { prove as proveFile } from "./model-file.ts";
import { bringModel, removeModel, type Step } from "./ollama-api.ts";
import { progressOf } from "./progress.ts";
import { NOT_READY, prove as proveServer } from "./ready.ts";
import type { OllamaModelInputs, OllamaModelSpec } from "./resources.ts";

/** A connection that breaks is tried again for so long; what a server has of a model it keeps. */
const RETRY_MS = 30_000;
/** One model, over a slow line. A server that falls silent ends it sooner. */
const BRING_MS = 86_400_000;
const WORDS_EVERY_MS = 2000;
const REMOVE_MS = 10_000;

type Outs = OllamaModelInputs & { readonly digest: string; readonly madeAt: string };

export async function create(inputs: OllamaModelInputs) {
  return { id: inputs.model.name, outs: await provide(inputs) };
}

export async function update(_id: string, olds: Outs, inputs: OllamaModelInputs) {
  return { outs: await provide(inputs, olds) };
}

/** What is kept goes by `ollama rm`, or with the data. */
async function remove(_id: string, { kept, url, model }: Outs): Promise<void> {
  if (kept) return;
  // A server that is gone has its models on a disk that goes too.
  await removeModel(url, model.name, AbortSignal.timeout(REMOVE_MS)).catch(() => undefined);
}

export { remove as delete };

async function provide(inputs: OllamaModelInputs, olds?: Outs): Promise<Outs> {
  const { server, model } = inputs;
  const outs = (digest: string): Outs => ({ ...inputs, digest, madeAt: new Date().toISOString() });
  // Its own words have been said.
  if ((await proveServer(server)).detail === NOT_READY) return outs("");
  if (model.file) {
    const { cacheFile, stamp } = inputs;
    await proveFile({ ...model.file, cacheFile, stamp, progressUrn: server.progressUrn });
  }
  // What stood in for it has its name, by which it would count as there.
  if (olds?.model.file && !model.file) await removeModel(inputs.url, model.name, AbortSignal.timeout(REMOVE_MS));
  using interrupt = watchInterrupt();
  const known = isSame(olds?.model, model) ? olds?.digest : undefined;
  const onStep = spoken(server.progressUrn);
  let digest = "";
  const report = await waitUntilFinal(
    async (signal) => {
      const outcome = await bringModel({ ...inputs, known, signal, onStep });
      if (outcome.status === "ready") digest = outcome.detail;
      return outcome;
    },
    { timeoutMs: RETRY_MS, attemptMs: BRING_MS },
    { signal: interrupt.signal },
  );
  if (report.outcome.status === "ready") return outs(digest);
  const words = explain(`${server.service}: model ${model.name}`, report);
  if (server.required || report.cancelled) throw new Error(words);
  progressOf(server.progressUrn, true)(`${words}\n  (required: false, so the others go on)`);
  return outs("");
}

/** JSON is how a state keeps it. */
const isSame = (before: OllamaModelSpec | undefined, now: OllamaModelSpec): boolean =>
  JSON.stringify(before) === JSON.stringify(now);

/** At most one line in two seconds: a display that only appends must not drown in them. */
function spoken(urn: string): (step: Step) => void {
  const progress = progressOf(urn);
  let spokenAt = performance.now();
  return ({ status, total, completed }) => {
    if (status === undefined || performance.now() - spokenAt < WORDS_EVERY_MS) return;
    spokenAt = performance.now();
    const share = total && completed ? `: ${gigabytes(completed)} of ${gigabytes(total)} GB` : "";
    progress(`${status}${share}`);
  };
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);
