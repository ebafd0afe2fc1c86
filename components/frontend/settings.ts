import { z } from "zod";
import { build, commonSettings, dev, port } from "#stack/schema.ts";

export const frontendSettings = z.strictObject({
  kind: z.literal("frontend"),
  ...commonSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Directory with a package.json whose `build` script writes `dist`. */
  build,
  /** True: Vite's dev server, `npm run dev`, on the directory itself. Edits show by themselves. */
  dev,
});
