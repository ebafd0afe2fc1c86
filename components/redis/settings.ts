import { z } from "zod";
import { commonSettings, dataSettings, password, port, size } from "#stack/schema.ts";

export const redisSettings = z.strictObject({
  kind: z.literal("redis"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** `broker` keeps every key, on disk too; `cache` evicts what is used least, and keeps nothing. */
  role: z.enum(["broker", "cache"]).default("broker"),
  /** `${secret.NAME}`; without it engineroom makes one. */
  password: password.optional(),
  /** Limit of the data; a broker refuses writes beyond it, a cache evicts. */
  maxMemory: size.default(256 * 2 ** 20),
});
