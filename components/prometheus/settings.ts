import { z } from "zod";
import { commonSettings, dataSettings, duration, port, size } from "#stack/schema.ts";

const DAY = 86_400_000;

export const prometheusSettings = z.strictObject({
  kind: z.literal("prometheus"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Name of the job → where its metrics are; without a path `/metrics`. Targets are not waited for. */
  targets: z
    .record(z.string().regex(/^[a-z][a-z0-9_-]*$/, "a name of lower-case letters, digits and `_-`"), z.string())
    .default({}),
  /** How often each target is asked. */
  interval: duration.default(15_000),
  /** How long samples are kept. */
  retention: duration.default(15 * DAY),
  /** Most room that they may take; the oldest go first. */
  retentionSize: size.optional(),
});
