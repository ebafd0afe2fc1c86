import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { brokerOf } from "../broker.ts";
import { APPLICATION_MEMORY, defineKind, type KindPlan, type PlanContext, type ResolvedSettings } from "../kind.ts";
import { celeryWorkerSettings } from "./settings.ts";

type Settings = z.output<typeof celeryWorkerSettings>;

/** Where Celery itself looks for its broker. */
export const BROKER_VARIABLE = "CELERY_BROKER_URL";

function plan(settings: ResolvedSettings<Settings>, context: PlanContext): KindPlan | Problem {
  const { pool, concurrency } = settings;
  const broker = brokerOf(context, { env: settings.env, variable: BROKER_VARIABLE });
  if ("code" in broker) return broker;
  const misfit = poolProblem(settings, context);
  if (misfit) return misfit;
  const nodename = settings.nodename ?? `${context.name}@${context.places.stack}`;
  return {
    argv: [
      ...["celery", "-A", settings.app, "worker", "-n", nodename, "-P", pool, "-c", String(concurrency)],
      ...(settings.queues.length > 0 ? ["-Q", settings.queues.join(",")] : []),
      ...option("--prefetch-multiplier", settings.prefetchMultiplier),
      ...option("--max-tasks-per-child", settings.maxTasksPerChild),
      ...option("--time-limit", seconds(settings.timeLimit)),
      ...option("--soft-time-limit", seconds(settings.softTimeLimit)),
      ...(settings.taskEvents ? ["-E"] : []),
      ...["-l", settings.loglevel.toUpperCase()],
    ],
    ...(settings.cwd && { cwd: settings.cwd }),
    check: {
      kind: "celery-worker",
      ...broker.check,
      ...(broker.worker && { worker: broker.worker }),
      nodename,
      // Its one thread is the one that runs the tasks.
      heartbeat: pool !== "solo",
    },
    readyTimeoutMs: 60_000,
    // A running task may take this long; only then is it cut off.
    stopGraceMs: 60_000,
    drains: true,
    // One that gives out the tasks, and those of the pool.
    consumes: { broker: broker.name, processes: pool === "prefork" ? 1 + concurrency : 1 },
    claims: [
      {
        key: `celery node ${nodename} on ${broker.name}`,
        setting: "nodename",
        code: "NODENAME_TWICE",
        expected: "a node name that no other worker of this broker has",
        got: `\`${nodename}\``,
        fix: `set services.${context.name}.nodename to another name`,
      },
    ],
    container: { memoryBytes: (pool === "prefork" ? concurrency : 1) * APPLICATION_MEMORY },
  };
}

const option = (name: string, value: number | undefined): readonly string[] =>
  value === undefined ? [] : [name, String(value)];

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

/** Celery takes these settings with every pool, and does nothing of what they say with most. */
function poolProblem({ pool, ...settings }: Omit<Settings, "env">, { name }: PlanContext): Problem | undefined {
  const needsProcesses = (["maxTasksPerChild", "timeLimit", "softTimeLimit"] as const).find(
    (key) => settings[key] !== undefined && pool !== "prefork",
  );
  if (needsProcesses) {
    return {
      code: "POOL_SETTING",
      where: `services.${name}.${needsProcesses}`,
      expected: "it only with pool: prefork, whose processes can be replaced and ended",
      got: `pool: ${pool}`,
      fix: `remove it, or set services.${name}.pool to prefork`,
    };
  }
  if (pool !== "solo" || settings.concurrency === 1) return undefined;
  return {
    code: "POOL_SETTING",
    where: `services.${name}.concurrency`,
    expected: "1 with pool: solo, which runs one task after the other",
    got: String(settings.concurrency),
    fix: `remove it, or set services.${name}.pool to prefork or threads`,
  };
}

export const celeryWorker = defineKind<Settings>({
  settings: celeryWorkerSettings,
  className: "CeleryWorker",
  outputs: () => ({}),
  plan,
});
