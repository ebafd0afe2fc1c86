import { z } from "zod";
import { applicationSettings, argv, commonSettings, dev, externalSettings, port, urlPath } from "#stack/schema.ts";

const health = urlPath.default("/health");

export const webSettings = z.strictObject({
  kind: z.literal("web"),
  ...commonSettings,
  /** TCP port on loopback; the command gets it as `${self.port}`. */
  port: port.optional(),
  ...applicationSettings,
  command: argv,
  /** True: it runs in the directory `build` itself, not in a copy; `uvicorn --reload` takes edits there. */
  dev,
  /** Path that answers 200 when the application works. */
  health,
});

/** Anything that speaks HTTP. */
export const externalWeb = z.strictObject({
  kind: z.literal("web"),
  ...externalSettings,
  /** Path that answers 200 while it works. */
  health,
});
