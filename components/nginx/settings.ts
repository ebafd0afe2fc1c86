import { z } from "zod";
import { commonSettings, port, size } from "#stack/schema.ts";

const route = z.union([z.string(), z.strictObject({ to: z.string(), backup: z.string() })]);

export const nginxSettings = z.strictObject({
  kind: z.literal("nginx"),
  ...commonSettings,
  port: port.optional(),
  /** Address to listen on; the default keeps the stack on this machine. */
  address: z.ipv4("an IPv4 address, such as 127.0.0.1").default("127.0.0.1"),
  /** Name that the machine is reached by: `mistudio.example.com`, or one below `localhost`, which needs no entry anywhere. Requests for other names are answered all the same. */
  domain: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, "a host name in lower-case letters")
    .optional(),
  /** URL prefix → where its requests go, with the prefix kept; `{ to, backup }` where another one answers while `to` does not. Targets are not waited for. */
  routes: z.record(z.string().regex(/^\/[\w./~-]*$/, "a path that starts with `/`"), route).default({}),
  /** Largest request body. */
  maxBody: size.default(16 * 2 ** 20),
});
