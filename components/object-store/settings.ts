import { z } from "zod";
import { commonSettings, dataSettings, externalSettings, password, port } from "#stack/schema.ts";

/** As S3 has it, without dots. */
const bucket = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "a name of 3 to 63 lower-case letters, digits and hyphens");

/** Names who signs, as a user does. */
const accessKey = z
  .string()
  .regex(/^[\w.-]{1,64}$/, "a name of at most 64 letters, digits and `_.-`")
  .default("app");

/** What clients must name as their region. */
const region = z
  .string()
  .regex(/^[a-z0-9-]{1,32}$/, "a region such as `us-east-1`")
  .default("us-east-1");

export const objectStoreSettings = z.strictObject({
  kind: z.literal("object-store"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Made where they do not exist; one that leaves the list stays, with all that is in it. */
  buckets: z.array(bucket).min(1, "at least one bucket"),
  accessKey,
  /** `${secret.NAME}`; without it engineroom makes one. */
  secretKey: password.optional(),
  region,
});

export const externalObjectStore = z.strictObject({
  kind: z.literal("object-store"),
  ...externalSettings,
  /** Buckets that must be there; the first one proves that it works. */
  buckets: z.array(bucket).min(1, "at least one bucket"),
  accessKey,
  /** `${secret.NAME}` */
  secretKey: password,
  region,
});
