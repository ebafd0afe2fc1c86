import { z } from "zod";
import { applicationSettings, argv, baseSettings, duration } from "#stack/schema.ts";

export const jobSettings = z.strictObject({
  kind: z.literal("job"),
  ...baseSettings,
  ...applicationSettings,
  command: argv,
  /** Limit of one run. */
  timeout: duration.default(600_000),
});
