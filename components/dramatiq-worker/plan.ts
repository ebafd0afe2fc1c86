import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { brokerOf } from "../broker.ts";
import { APPLICATION_MEMORY, defineKind, type KindPlan, type PlanContext, type ResolvedSettings } from "../kind.ts";
import { dramatiqWorkerSettings } from "./settings.ts";

type Settings = z.output<typeof dramatiqWorkerSettings>;

function plan(settings: ResolvedSettings<Settings>, context: PlanContext): KindPlan | Problem {
  const { processes, threads, queues } = settings;
  const broker = brokerOf(context, { env: settings.env });
  if ("code" in broker) return broker;
  return {
    argv: [
      ...["dramatiq", "--processes", String(processes), "--threads", String(threads), settings.module],
      ...(settings.verbose ? ["--verbose"] : []),
      ...(queues.length > 0 ? ["--queues", ...queues] : []),
    ],
    ...(settings.cwd && { cwd: settings.cwd }),
    check: {
      kind: "dramatiq-worker",
      ...broker.check,
      ...(broker.worker && { worker: broker.worker }),
      processes,
      namespace: "dramatiq",
    },
    readyTimeoutMs: 60_000,
    // A running task may take this long; only then is it cut off and queued again.
    stopGraceMs: 60_000,
    drains: true,
    // One that watches the others, and one more for what middleware runs beside them.
    consumes: { broker: broker.name, processes: processes + 2 },
    container: { memoryBytes: processes * APPLICATION_MEMORY },
  };
}

export const dramatiqWorker = defineKind<Settings>({
  settings: dramatiqWorkerSettings,
  className: "DramatiqWorker",
  outputs: () => ({}),
  plan,
});
