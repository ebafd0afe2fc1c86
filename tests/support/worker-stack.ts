import type { Runtime } from "./runtimes.ts";
import type { Sections } from "./test-stack.ts";

export interface WorkerPlaces {
  readonly broker: Runtime;
  readonly workers: Runtime;
}

const APP = "./examples/apps/worker";
export const QUEUE = "transcribe@gpu";

/** Every kind of worker, of the sample application.
 *
 * @param more settings of each worker, by service. */
export const workerSections = (
  { broker, workers }: WorkerPlaces,
  port: number,
  more: Readonly<Record<string, object>> = {},
): Sections => ({
  settings: { in: workers, data: "disposable" },
  services: {
    broker: { kind: "redis", in: broker, port },
    tasks: {
      kind: "celery-worker",
      build: APP,
      app: "jobs",
      env: { CELERY_BROKER_URL: "${broker.url}" },
      ...more["tasks"],
    },
    beat: { kind: "celery-beat", build: APP, app: "jobs", env: { CELERY_BROKER_URL: "${broker.url}" } },
    later: { kind: "rq-worker", build: APP, env: { RQ_REDIS_URL: "${broker.url}" }, ...more["later"] },
    acts: {
      kind: "dramatiq-worker",
      build: APP,
      module: "jobs.dramatiq",
      threads: 1,
      env: { REDIS_URL: "${broker.url}" },
      ...more["acts"],
    },
    poller: {
      kind: "worker",
      build: APP,
      queue: QUEUE,
      command: ["python", "-m", "jobs.poller", "${self.queue}"],
      ready: { command: ["python", "-m", "jobs.poller", "${self.queue}", "--check"] },
      env: { REDIS_URL: "${broker.url}" },
      ...more["poller"],
    },
  },
});
