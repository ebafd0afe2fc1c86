import { z } from "zod";
import { argv, baseSettings, build, duration } from "#stack/schema.ts";

export const jobSettings = z.strictObject({
  kind: z.literal("job"),
  ...baseSettings,
  /** Directory of the application. */
  build: build.optional(),
  /** Directory to run in. Default: the built application. */
  cwd: z.string().optional(),
  command: argv,
  /** Limit of one run. */
  timeout: duration.default(600_000),
});
