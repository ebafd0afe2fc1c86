import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { brokerOf, databaseIn } from "../broker.ts";
import { APPLICATION_MEMORY, defineKind, type KindPlan, type PlanContext, type ResolvedSettings } from "../kind.ts";
import { rqWorkerSettings } from "./settings.ts";

type Settings = z.output<typeof rqWorkerSettings>;

/** Where RQ itself looks for its Redis; without it, it would take the one on port 6379, whosever that is. */
const BROKER_VARIABLE = "RQ_REDIS_URL";

function plan(settings: ResolvedSettings<Settings>, context: PlanContext): KindPlan | Problem {
  const { queues, workers, env } = settings;
  const broker = brokerOf(context, { env, variable: BROKER_VARIABLE, mustBe: true });
  if ("code" in broker) return broker;
  return {
    // No name of ours: RQ refuses to start under one whose worker was killed less than eight minutes ago.
    argv:
      workers > 1
        ? ["rq", "worker-pool", "--num-workers", String(workers), ...queues]
        : ["rq", "worker", ...(settings.withScheduler ? ["--with-scheduler"] : []), ...queues],
    ...(settings.cwd && { cwd: settings.cwd }),
    check: {
      kind: "rq-worker",
      ...broker.check,
      ...(broker.worker && { worker: broker.worker }),
      database: databaseIn(env[BROKER_VARIABLE] ?? []),
      workers,
    },
    readyTimeoutMs: 60_000,
    // A running job may take this long; only then is it cut off.
    stopGraceMs: 60_000,
    drains: true,
    // Each has one process for itself, one for its job; one of them another for what is due later, and a pool its own.
    consumes: { broker: broker.name, processes: 2 * workers + (workers > 1 ? 2 : settings.withScheduler ? 1 : 0) },
    // Each job runs in a process of its own.
    container: { memoryBytes: workers * APPLICATION_MEMORY },
  };
}

export const rqWorker = defineKind<Settings>({
  settings: rqWorkerSettings,
  className: "RqWorker",
  outputs: () => ({}),
  plan,
});
