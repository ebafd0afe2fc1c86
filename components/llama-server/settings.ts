import { z } from "zod";
import { commonSettings, gpuSettings, port, scalar } from "#stack/schema.ts";

const CACHE_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"] as const;
const BATCH = z.int().min(1).max(1_000_000).optional();

export const llamaServerSettings = z.strictObject({
  kind: z.literal("llama-server"),
  ...commonSettings,
  ...gpuSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** A name of `engineroom:models`. */
  model: z.string(),
  /** Name under which the server offers it. Default: the model's. */
  alias: z
    .string()
    .regex(/^[A-Za-z0-9][^,\s\p{Cc}]{0,127}$/u, "a name without commas and spaces, a letter or digit first")
    .optional(),
  /** Tokens that fit into a conversation. */
  contextSize: z.int().min(64).max(10_000_000).default(4096),
  /** CPU threads. Default: the server's own choice. */
  threads: z.int().min(1).max(1024).optional(),
  /** Layers of the model that lie on the GPU, or `all`. Default: all with `gpu`, and the server's own choice without. */
  gpuLayers: z.union([z.literal("all"), z.int().min(0).max(10_000)], "a number of layers, or `all`").optional(),
  /** Jinja text that turns a conversation into a prompt. Default: the model's own; a base model has none. */
  chatTemplate: z.string().min(1).optional(),
  /** Requests answered at the same time; each gets `contextSize / parallel` tokens. */
  parallel: z.int().min(1).max(256).default(1),
  /** Tokens of a prompt that are handed over at once. Default: the server's own. */
  batchSize: BATCH,
  /** Tokens that are computed at once; an embedding takes no longer text. Default: the server's own. */
  ubatchSize: BATCH,
  /** `on`, `off` or `auto`. YAML 1.1 reads the first two as true and false. Default: the server's own. */
  flashAttention: z
    .union([z.boolean().transform((on) => (on ? "on" : "off")), z.enum(["on", "off", "auto"])], "on, off or auto")
    .optional(),
  /** Type of the keys in the cache: a smaller one takes less memory. Default: f16. */
  cacheTypeK: z.enum(CACHE_TYPES).optional(),
  /** The same of the values; a quantised one needs flash attention. */
  cacheTypeV: z.enum(CACHE_TYPES).optional(),
  /** Makes embeddings, and nothing else. */
  embeddings: z.boolean().default(false),
  /** Whether chat templates are run as Jinja, which tool calls need. Default: the server's own. */
  jinja: z.boolean().optional(),
  /** Further flags of the build, and their values. */
  args: z.array(scalar).default([]),
});
