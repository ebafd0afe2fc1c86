import { z } from "zod";
import { commonSettings, dataSettings, duration, port } from "#stack/schema.ts";

const DAY = 86_400_000;

export const lokiSettings = z.strictObject({
  kind: z.literal("loki"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** How long lines are kept; a day at least. */
  retention: duration.refine((value) => value >= DAY, "a day or more, such as `7d`").default(30 * DAY),
});
