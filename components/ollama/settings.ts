import { z } from "zod";
import {
  commonSettings,
  dataSettings,
  duration,
  externalSettings,
  gpuSettings,
  modelName,
  port,
} from "#stack/schema.ts";

const MODEL = "a model's name, such as `gemma2:2b`, or `{ from: NAME }` with a name of engineroom:models";

/** As Ollama takes it: `[http://][host[:port]/][namespace/]model[:tag]`. */
const pulled = z.string().regex(/^(https?:\/\/)?([\w.-]+(:\d+)?\/)?([\w.-]+\/)*[A-Za-z0-9_][\w.-]*(:[\w.-]+)?$/, MODEL);

const made = z.strictObject({
  /** A model of `engineroom:models`, whose file is sent to the server. */
  from: z.string(),
  /** What the server calls it. Default: its name in `engineroom:models`. */
  name: z.string().regex(modelName.pattern, modelName.expected).optional(),
  /** Go template that turns a conversation into a prompt. Default: what Ollama finds in the file. */
  template: z.string().min(1).optional(),
  /** Words that go before every conversation. */
  system: z.string().min(1).optional(),
});

export const ollamaSettings = z.strictObject({
  kind: z.literal("ollama"),
  ...commonSettings,
  ...dataSettings,
  ...gpuSettings,
  /** TCP port on loopback. */
  port: port.optional(),
  /** Models that it is to have: pulled by their name, or made of a file. The first one proves that it works. */
  models: z.array(z.union([pulled, made], MODEL)).default([]),
  /** How long a model stays in memory after its last use; `forever`: until another one needs the room. */
  keepAlive: z.union([z.literal("forever"), duration], "`forever`, or a time such as `90s` or `10m`").default(300_000),
  /** Tokens that fit into a conversation. */
  contextLength: z.int().min(64).max(10_000_000).default(4096),
  /** Requests that a model answers at the same time; each has a context of its own. */
  numParallel: z.int().min(1).max(256).default(1),
  /** Models in memory at the same time. Default: Ollama's own choice, 3 for each GPU or 3 without one. */
  maxLoadedModels: z.int().min(1).max(256).optional(),
  /** Default: as Ollama judges the model and the device; a quantised cache needs it. */
  flashAttention: z.boolean().optional(),
  /** Numbers that the cache of a conversation is made of. */
  kvCacheType: z.enum(["f16", "q8_0", "q4_0"]).default("f16"),
});

export const externalOllama = z.strictObject({
  kind: z.literal("ollama"),
  ...externalSettings,
  /** Models that it must have; none is brought. The first one proves that it works. */
  models: z.array(pulled).default([]),
});
