import { z } from "zod";
import { applicationSettings, argv, commonSettings, duration } from "#stack/schema.ts";

export const workerSettings = z.strictObject({
  kind: z.literal("worker"),
  ...commonSettings,
  ...applicationSettings,
  command: argv,
  /** Queue that it polls, with a suffix where the system has one, such as `transcribe@gpu`; `${self.queue}` in `command`. */
  queue: z.string().min(1).optional(),
  /** `command` ends with 0 once it is seen to poll; it runs with the worker's user, directory and variables. */
  ready: z.strictObject({ timeout: duration.optional(), command: argv }),
});
