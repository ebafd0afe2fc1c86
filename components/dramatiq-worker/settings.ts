import { z } from "zod";
import { applicationSettings, commonSettings } from "#stack/schema.ts";
import { pythonObject } from "../broker.ts";

export const dramatiqWorkerSettings = z.strictObject({
  kind: z.literal("dramatiq-worker"),
  ...commonSettings,
  ...applicationSettings,
  /** Python module that declares the broker and the actors. */
  module: pythonObject,
  /** Worker processes. Dramatiq's own default is one a CPU, which surprises. */
  processes: z.int().min(1).max(256).default(1),
  /** Threads of each process. */
  threads: z.int().min(1).max(256).default(8),
  /** Logs more, what the application says at debug level too. */
  verbose: z.boolean().default(false),
  /** Queues to consume. Default: all. */
  queues: z.array(z.string().regex(/^[A-Za-z_][\w.-]*$/, "a queue's name: letters, digits and `._-`")).default([]),
});
