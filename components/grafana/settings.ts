import { z } from "zod";
import { commonSettings, dataSettings, password, port } from "#stack/schema.ts";

export const grafanaSettings = z.strictObject({
  kind: z.literal("grafana"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Of its user `admin`: `${secret.NAME}`; without it engineroom makes one. It counts at the first start of its data. */
  password: password.optional(),
  /** Name → where data comes from. They are not waited for. */
  datasources: z
    .record(z.string(), z.strictObject({ type: z.enum(["prometheus", "loki"]), url: z.string() }))
    .default({}),
});
