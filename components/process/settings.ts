import { z } from "zod";
import { argv, build, commonSettings, port, urlPath } from "#stack/schema.ts";

export const processSettings = z.strictObject({
  kind: z.literal("process"),
  ...commonSettings,
  /** TCP port on loopback, where the program listens on one; the command gets it as `${self.port}`. */
  port: port.optional(),
  /** Directory of the application. */
  build: build.optional(),
  /** Directory to run in. Default: the built application, else the service's own directory. */
  cwd: z.string().optional(),
  command: argv,
  /** Path that answers 200 when the program works; it needs `port`. */
  health: urlPath.optional(),
});
