import { z } from "zod";
import { commonSettings, port, size } from "#stack/schema.ts";

export const nginxSettings = z.strictObject({
  kind: z.literal("nginx"),
  ...commonSettings,
  port: port.optional(),
  /** Address to listen on; the default keeps the stack on this machine. */
  address: z.ipv4("an IPv4 address, such as 127.0.0.1").default("127.0.0.1"),
  /** URL prefix → where its requests go, with the prefix kept. Targets are not waited for. */
  routes: z.record(z.string().regex(/^\/[\w./~-]*$/, "a path that starts with `/`"), z.string()).default({}),
  /** Largest request body. */
  maxBody: size.default(16 * 2 ** 20),
});
