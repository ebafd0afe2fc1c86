import { z } from "zod";
import { commonSettings, dataSettings, port } from "#stack/schema.ts";

export const alloySettings = z.strictObject({
  kind: z.literal("alloy"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback, of its own page. */
  port: port.optional(),
  /** Where lines go: `${loki.url}`. */
  loki: z.string(),
  /** Whose lines: of the stack's services on the `host`, or in `containers`. For the latter it gets the engine's socket, and whoever has that is as good as root on this machine. */
  logs: z.enum(["host", "containers"]),
});
