// A public name: the state of people's stacks holds code that imports this path.
import type { Uptime } from "#checks/alive.ts";
import type { Check, Probe, WaitPolicy, WaitReport } from "#checks/check.ts";
import type { Inside } from "#checks/inside.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import type { WaitOptions } from "#checks/wait.ts";

/** Long enough to load a large model: Ollama gives up loading when nobody waits for the answer any more. */
export const OLLAMA_ATTEMPT_MS = 300_000;

/** More than a server of models writes while it starts. */
export const START_LINES = 5000;

/** What a check needs to know about the service beyond its own JSON. */
export interface ProbeContext {
  /** PIDs of the service's own processes, its first one first; empty when none runs. */
  readonly processTree?: () => Promise<readonly number[]>;
  /** How long the service's program has run; undefined when it does not. */
  readonly uptime?: () => Promise<Uptime | undefined>;
  /** Where the service runs. */
  readonly inside?: Inside;
  /** The last lines of its log, those of its start among them. */
  readonly log?: () => Promise<readonly string[]>;
  /** Leaves out the work that would queue behind what users asked for: no token is generated. */
  readonly quick?: boolean;
}

/** What the check says of a GPU is asked last. Ollama is asked for it by its own probe, which has loaded the model. */
export function probeOf(check: Check, context: ProbeContext = {}): Probe {
  const { gpu } = check;
  const probe = probeWithoutGpu(check, context);
  if (!gpu || check.kind === "ollama") return probe;
  return async (signal) => {
    const outcome = await probe(signal);
    if (outcome.status !== "ready") return outcome;
    return (await import("#checks/gpu-proof.ts")).proveGpu(outcome, gpu, context, signal);
  };
}

/** Each probe's file is imported by its first attempt, so that a preview without changes loads none. */
function probeWithoutGpu(check: Check, context: ProbeContext): Probe {
  switch (check.kind) {
    case "http":
      return async (signal) => (await import("#checks/http.ts")).probeHttp(check, signal);
    case "postgres":
      return async (signal) => (await import("#checks/postgres.ts")).probePostgres(check, signal);
    case "redis":
      return async (signal) => (await import("#checks/redis.ts")).probeRedis(check, signal);
    case "llama-server":
      return async (signal) => (await import("#checks/llama-server.ts")).probeLlamaServer(check, signal, context.quick);
    case "ollama":
      return async (signal) => (await import("#checks/ollama.ts")).probeOllama(check, signal, context.quick);
    case "dramatiq-worker":
      return async (signal) =>
        (await import("#checks/dramatiq-worker.ts")).probeDramatiqWorker(check, signal, context.processTree);
    case "celery-worker":
      return async (signal) =>
        (await import("#checks/celery-worker.ts")).probeCeleryWorker(check, signal, context.processTree);
    case "celery-beat":
      return async (signal) =>
        (await import("#checks/celery-beat.ts")).probeCeleryBeat(check, signal, context.processTree, context.inside);
    case "rq-worker":
      return async (signal) => (await import("#checks/rq-worker.ts")).probeRqWorker(check, signal, context.processTree);
    case "object-store":
      return async (signal) => (await import("#checks/object-store.ts")).probeObjectStore(check, signal);
    case "mqtt":
      return async (signal) => (await import("#checks/mqtt.ts")).probeMqtt(check, signal);
    case "prometheus":
      return async (signal) => (await import("#checks/prometheus.ts")).probePrometheus(check, signal);
    case "tcp":
      return async (signal) => (await import("#checks/tcp.ts")).probeTcp(check, signal);
    case "command":
      return async (signal) => (await import("#checks/command.ts")).probeCommand(check, signal, context.inside);
    case "alive":
      return async () => (await import("#checks/alive.ts")).probeAlive(check, context.uptime);
  }
}

/** Waits until the check is final or its time is up. Never rejects. */
export function runCheck(
  check: Check,
  policy: WaitPolicy,
  options: WaitOptions & ProbeContext = {},
): Promise<WaitReport> {
  return waitUntilFinal(probeOf(check, options), policy, options);
}
