import { z } from "zod";
import { applicationSettings, commonSettings } from "#stack/schema.ts";
import { queueName } from "../broker.ts";

export const rqWorkerSettings = z.strictObject({
  kind: z.literal("rq-worker"),
  ...commonSettings,
  ...applicationSettings,
  /** Queues to consume, the most urgent one first. */
  queues: z.array(queueName).min(1).default(["default"]),
  /** Jobs at the same time; more than one makes it a worker pool. */
  workers: z.int().min(1).max(256).default(1),
  /** Also enqueues jobs that are scheduled for later; a worker pool always does. */
  withScheduler: z.boolean().default(false),
});
