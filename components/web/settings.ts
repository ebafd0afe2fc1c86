import { z } from "zod";
import { applicationSettings, argv, commonSettings, port, urlPath } from "#stack/schema.ts";

export const webSettings = z.strictObject({
  kind: z.literal("web"),
  ...commonSettings,
  /** TCP port on loopback; the command gets it as `${self.port}`. */
  port: port.optional(),
  ...applicationSettings,
  command: argv,
  /** Path that answers 200 when the application works. */
  health: urlPath.default("/health"),
});
