import { z } from "zod";
import { build, commonSettings, port } from "#stack/schema.ts";

export const frontendSettings = z.strictObject({
  kind: z.literal("frontend"),
  ...commonSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Directory with a package.json whose `build` script writes `dist`. */
  build,
});
