import { z } from "zod";
import { applicationSettings, commonSettings, duration } from "#stack/schema.ts";
import { pythonObject, queueName } from "../broker.ts";

export const celeryWorkerSettings = z.strictObject({
  kind: z.literal("celery-worker"),
  ...commonSettings,
  ...applicationSettings,
  /** Python module of the Celery application, as `-A` takes it. */
  app: pythonObject,
  /** Queues to consume. Default: the application's own. */
  queues: z.array(queueName).default([]),
  /** How tasks run beside each other; `solo` runs one after the other, and answers nothing meanwhile. */
  pool: z.enum(["prefork", "threads", "gevent", "solo"]).default("prefork"),
  /** Tasks at the same time. Celery's own default is one a CPU, which surprises. */
  concurrency: z.int().min(1).max(1024).default(1),
  /** Name of the node, of which no other may consume from the same broker. Default: `<service>@<stack>`. */
  nodename: z
    .string()
    .regex(/^[\w.-]+@[\w.-]+$/, "a node name, such as `images@lab`")
    .optional(),
  /** Tasks that are fetched ahead for each that runs. Default: the application's own, or 4. */
  prefetchMultiplier: z.int().min(1).max(1024).optional(),
  /** Tasks after which a process of the pool is replaced. Default: never. */
  maxTasksPerChild: z.int().min(1).optional(),
  /** A task that takes longer is killed, with the process that runs it. */
  timeLimit: duration.optional(),
  /** A task that takes longer gets an exception that it can catch. */
  softTimeLimit: duration.optional(),
  /** Sends events of each task, for Flower and exporters. */
  taskEvents: z.boolean().default(false),
  loglevel: z.enum(["debug", "info", "warning", "error", "critical"]).default("info"),
});
