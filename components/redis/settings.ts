import { z } from "zod";
import { commonSettings, dataSettings, externalSettings, password, port, size } from "#stack/schema.ts";

const role = z.enum(["broker", "cache"]).default("broker");

export const redisSettings = z.strictObject({
  kind: z.literal("redis"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** `broker` keeps every key, on disk too; `cache` evicts what is used least, and keeps nothing. */
  role,
  /** `${secret.NAME}`; without it engineroom makes one. */
  password: password.optional(),
  /** Limit of the data; a broker refuses writes beyond it, a cache evicts. */
  maxMemory: size.default(256 * 2 ** 20),
});

export const externalRedis = z.strictObject({
  kind: z.literal("redis"),
  ...externalSettings,
  /** What it is used for, and so which eviction policy it must have. */
  role,
  /** `${secret.NAME}`; without it the server is to ask for none. */
  password: password.optional(),
});
