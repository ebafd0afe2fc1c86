import { rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Probe, WaitReport } from "#checks/check.ts";
import { explain, externalFix, redact } from "#checks/explain.ts";
import { insideHost } from "#checks/inside.ts";
import { OLLAMA_ATTEMPT_MS, probeOf, START_LINES } from "#checks/run.ts";
import { programTree, programUptime, whileRunning } from "#checks/supervised.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { readJson, readTail } from "#observe/records.ts";
import type { ReadyInputs } from "./resources.ts";
import { keepCompiled } from "./compile-cache.ts";
import { watchInterrupt } from "./interrupt.ts";
import { progressOf } from "./progress.ts";

/** A model server under load may need long for its first token, and Ollama loads its model only then. */
const attemptMs = ({ check }: ReadyInputs): number => (check?.kind === "ollama" ? OLLAMA_ATTEMPT_MS : 15_000);
/** What is told of a service that failed and is not required. */
export const NOT_READY = "not ready";
/** A wait shorter than this needs no words, and a display that only appends must not drown in them. */
const WORDS_EVERY_MS = 2000;

export async function create(inputs: ReadyInputs) {
  return { id: inputs.service, outs: await prove(inputs) };
}

export async function update(id: string, olds: ReadyInputs, inputs: ReadyInputs) {
  // It has become a process of this host: what was noted of its container is no more.
  if ("container" in olds && !("container" in inputs)) await forget(id, olds);
  return { outs: await prove(inputs) };
}

/** What was noted of a container goes with it; a process's own directory is its maker's. */
function forget(_id: string, inputs: ReadyInputs): Promise<void> {
  if ("container" in inputs) {
    const { home } = inputs.container;
    for (const name of ["container.json", "data-id", "done.json"]) rmSync(`${home}/${name}`, { force: true });
    for (const directory of [home, dirname(home)]) removeIfEmpty(directory);
  }
  return Promise.resolve();
}

export { forget as delete };

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Its files are still there, or other containers' directories.
  }
}

/** Waits until a service works; of one that is not required a failure is a warning. */
export async function prove(inputs: ReadyInputs): Promise<ReadyInputs & { readonly detail: string }> {
  const report = await waitForReady(inputs);
  keepCompiled();
  if (report.outcome.status === "ready") {
    const { detail, degraded } = report.outcome;
    if (degraded === undefined) return { ...inputs, detail };
    progressOf(inputs.progressUrn, true)(`${inputs.service}: ${degraded}`);
    return { ...inputs, detail: `${detail}; ${degraded}` };
  }
  if (report.outcome.status === "pending" && "container" in inputs && inputs.container.job) {
    const { endContainer } = await import("#checks/contained.ts");
    await endContainer(inputs.token);
  }
  const told = explain(inputs.service, report, {
    fix: fixFor(inputs),
    log: await logOf(inputs),
  });
  const words = redact(told, secretsOf(inputs));
  if (inputs.required || report.cancelled) throw new Error(words);
  progressOf(inputs.progressUrn, true)(`${words}\n  (required: false, so the others go on)`);
  return { ...inputs, detail: NOT_READY };
}

const fixFor = (inputs: ReadyInputs): string =>
  "external" in inputs ? externalFix(inputs.service) : `./engineroom logs ${inputs.service}`;

async function logOf(inputs: ReadyInputs): Promise<readonly string[]> {
  if ("external" in inputs) return [];
  if (!("container" in inputs)) return readTail(inputs.logFile);
  const { containerLog } = await import("#observe/container-log.ts");
  return containerLog(inputs.token, 20).catch(() => []);
}

/** A program may have written its own secrets into its log. */
function secretsOf(inputs: ReadyInputs): readonly string[] {
  if ("external" in inputs) return [];
  const home = "container" in inputs ? `${inputs.container.home}/private` : inputs.home;
  const launch = readJson(`${home}/launch.json`) as { readonly secrets?: readonly string[] } | undefined;
  return launch?.secrets ?? [];
}

async function waitForReady(inputs: ReadyInputs): Promise<WaitReport> {
  const progress = progressOf(inputs.progressUrn);
  const probe = await probeFor(inputs);
  let spokenAt = 0;
  using interrupt = watchInterrupt();
  return await waitUntilFinal(
    probe,
    { timeoutMs: inputs.timeoutMs, attemptMs: attemptMs(inputs) },
    {
      signal: interrupt.signal,
      onPending: ({ reason }, elapsedMs) => {
        if (elapsedMs - spokenAt < WORDS_EVERY_MS) return;
        spokenAt = elapsedMs;
        progress(`waiting ${Math.round(elapsedMs / 1000)} s: ${reason}`);
      },
    },
  );
}

async function probeFor(inputs: ReadyInputs): Promise<Probe> {
  if ("container" in inputs) {
    const { contained } = await import("#checks/contained.ts");
    return contained(inputs);
  }
  if ("external" in inputs) return probeOf(inputs.check);
  const { service, socket, home } = inputs;
  const target = { service, socket, home, supervisorLog: `${dirname(dirname(home))}/supervisord.log` };
  const processTree = () => programTree(target);
  const uptime = () => programUptime(target);
  const log = () => Promise.resolve(readTail(inputs.logFile, START_LINES));
  return whileRunning(target, probeOf(inputs.check, { processTree, uptime, inside: insideHost(home), log }));
}
