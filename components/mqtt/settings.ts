import { z } from "zod";
import { commonSettings, dataSettings, externalSettings, password, port } from "#stack/schema.ts";

const user = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, "a name of at most 64 letters, digits and `_.-`")
  .default("app");

export const mqttSettings = z.strictObject({
  kind: z.literal("mqtt"),
  ...commonSettings,
  ...dataSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Where it speaks MQTT over WebSocket too, for pages in a browser. */
  webSocketPort: port.optional(),
  /** The one who may log in. */
  user,
  /** `${secret.NAME}`; without it engineroom makes one. */
  password: password.optional(),
});

export const externalMqtt = z.strictObject({
  kind: z.literal("mqtt"),
  ...externalSettings,
  /** Who logs in. */
  user,
  /** `${secret.NAME}` */
  password,
});
