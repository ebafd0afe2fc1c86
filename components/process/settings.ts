import { z } from "zod";
import { applicationSettings, argv, commonSettings, port, urlPath } from "#stack/schema.ts";

export const processSettings = z.strictObject({
  kind: z.literal("process"),
  ...commonSettings,
  /** TCP port on loopback, where the program listens on one; the command gets it as `${self.port}`. */
  port: port.optional(),
  ...applicationSettings,
  command: argv,
  /** Path that answers 200 when the program works; it needs `port`. */
  health: urlPath.optional(),
});
