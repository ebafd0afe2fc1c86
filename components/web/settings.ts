import { z } from "zod";
import { argv, build, commonSettings, port, urlPath } from "#stack/schema.ts";

export const webSettings = z.strictObject({
  kind: z.literal("web"),
  ...commonSettings,
  /** TCP port on loopback; the command gets it as `${self.port}`. */
  port: port.optional(),
  /** Directory of the application. */
  build: build.optional(),
  /** Directory to run in. Default: the built application. */
  cwd: z.string().optional(),
  command: argv,
  /** Path that answers 200 when the application works. */
  health: urlPath.default("/health"),
});
