import { z } from "zod";
import { commonSettings, port } from "#stack/schema.ts";

export const llamaServerSettings = z.strictObject({
  kind: z.literal("llama-server"),
  ...commonSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** A name of `engineroom:models`; also the alias under which the server offers it. */
  model: z.string(),
  /** Tokens that fit into a conversation. */
  contextSize: z.int().min(64).max(10_000_000).default(4096),
  /** CPU threads. Default: the server's own choice. */
  threads: z.int().min(1).max(1024).optional(),
  /** Jinja text that turns a conversation into a prompt. Default: the model's own; a base model has none. */
  chatTemplate: z.string().min(1).optional(),
  /** Requests answered at the same time; each gets `contextSize / parallel` tokens. */
  parallel: z.int().min(1).max(256).default(1),
});
