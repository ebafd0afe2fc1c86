import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { APPLICATION_MEMORY, defineKind, type KindPlan, type PlanContext } from "../kind.ts";
import { dramatiqWorkerSettings } from "./settings.ts";

type Settings = z.output<typeof dramatiqWorkerSettings>;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const { processes, threads, queues } = settings;
  const service = context.uses.find(({ check }) => check?.kind === "redis");
  const broker = service?.check?.kind === "redis" ? service.check : undefined;
  if (!service || !broker) return withoutBroker(context);
  return {
    argv: [
      ...["dramatiq", settings.module, "--processes", String(processes), "--threads", String(threads)],
      ...(queues.length > 0 ? ["--queues", ...queues] : []),
    ],
    ...(settings.cwd && { cwd: settings.cwd }),
    check: {
      kind: "dramatiq-worker",
      host: broker.host,
      port: broker.port,
      ...(broker.passwordFile && { passwordFile: broker.passwordFile }),
      ...(!(context.in === "host" && service.in === "host") && {
        worker: {
          port: (context.in === "container" && service.container?.internalPorts[0]) || broker.port,
          isDirect: context.in === service.in,
        },
      }),
      processes,
      namespace: "dramatiq",
    },
    readyTimeoutMs: 60_000,
    // A running task may take this long; only then is it cut off and queued again.
    stopGraceMs: 60_000,
    container: { memoryBytes: processes * APPLICATION_MEMORY },
  };
}

function withoutBroker({ name }: PlanContext): Problem {
  return {
    code: "WORKER_WITHOUT_BROKER",
    where: `services.${name}.env`,
    expected: "a variable that refers to the worker's redis service",
    got: "none",
    fix: `add env: { REDIS_URL: "\${broker.url}" } with the name of your redis service`,
  };
}

export const dramatiqWorker = defineKind<Settings>({
  settings: dramatiqWorkerSettings,
  className: "DramatiqWorker",
  outputs: () => ({}),
  plan,
});
