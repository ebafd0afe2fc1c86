import { z } from "zod";
import { commonSettings, dataSettings, externalSettings, identifier, password, port, size } from "#stack/schema.ts";

export const postgresSettings = z.strictObject({
  kind: z.literal("postgres"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Made at the first start, and when the name changes; an older database stays. */
  database: identifier.default("app"),
  /** Role that owns `database`. */
  user: identifier.default("app"),
  /** `${secret.NAME}`; without it engineroom makes one. */
  password: password.optional(),
  maxConnections: z.int().min(10).max(10_000).default(100),
  sharedBuffers: size.default(128 * 2 ** 20),
});

export const externalPostgres = z.strictObject({
  kind: z.literal("postgres"),
  ...externalSettings,
  /** The one to use; engineroom does not make it. */
  database: identifier.default("app"),
  /** Who logs in. */
  user: identifier.default("app"),
  /** `${secret.NAME}` */
  password,
});
