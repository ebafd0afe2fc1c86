import type { z } from "zod";
import { shardPaths } from "#checks/model-parts.ts";
import { gpuPlan } from "#stack/gpu.ts";
import type { ModelLoad, ServedModel } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import {
  defineExternal,
  defineKind,
  httpOutputs,
  MIB,
  undeclaredModel,
  type KindPlan,
  type PlanContext,
} from "../kind.ts";
import { externalOllama, ollamaSettings } from "./settings.ts";

/** Of the image's contract (docs/images.md): its models and the key that it makes for itself lie below its HOME. */
const IMAGE = { program: "/bin/ollama", home: "/root", data: "/root/.ollama", user: "0:0" };
/** MiB; 80 layers of 8 heads of 128 numbers, keys and values in 16 bits, are 0.31. */
const CACHE_PER_TOKEN = 0.32;
/** Of a model that is pulled nobody knows the size beforehand: 8 billion parameters in 4 to 5 bits. */
const PULLED_BYTES = 5.5 * 1024 * MIB;
/** Where nobody says how many stay in memory. */
const LOADED = 3;

type Settings = z.output<typeof ollamaSettings>;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const models = settings.models.map((model, index) => servedModel(model, index, context));
  const serves = models.flatMap((model) => ("code" in model ? [] : model));
  const problem = models.find((model): model is Problem => "code" in model) ?? twice(serves, context);
  if (problem) return problem;
  const onHost = context.in === "host";
  const data = `${context.places.dataDir}/${context.name}`;
  const quantised = settings.kvCacheType !== "f16";
  const gpu = gpuPlan(settings.gpu);
  const flashAttention = settings.flashAttention ?? (quantised ? true : undefined);
  return {
    argv: [onHost ? context.tool("ollama").path : IMAGE.program, "serve"],
    env: {
      HOME: [onHost ? data : IMAGE.home],
      OLLAMA_MODELS: [onHost ? `${data}/models` : `${IMAGE.data}/models`],
      OLLAMA_HOST: [`${context.listen}:${context.port}`],
      OLLAMA_KEEP_ALIVE: [settings.keepAlive === "forever" ? "-1" : `${settings.keepAlive}ms`],
      // Left open, it would follow from the memory of the GPU.
      OLLAMA_CONTEXT_LENGTH: [String(settings.contextLength)],
      OLLAMA_NUM_PARALLEL: [String(settings.numParallel)],
      ...(settings.maxLoadedModels && { OLLAMA_MAX_LOADED_MODELS: [String(settings.maxLoadedModels)] }),
      ...(flashAttention !== undefined && { OLLAMA_FLASH_ATTENTION: [flashAttention ? "1" : "0"] }),
      OLLAMA_KV_CACHE_TYPE: [settings.kvCacheType],
      // A model's name must not send what is asked to somebody else's machine.
      OLLAMA_NO_CLOUD: ["1"],
    },
    directories: [data],
    tools: ["ollama"],
    serves,
    check: {
      kind: "ollama",
      url: `http://${context.at.host}:${context.at.port}`,
      models: serves.map(({ name }) => name),
      ...(gpu && { gpu: { required: gpu.required } }),
    },
    ...(gpu && {
      loads: { models: serves.map((model) => loadOf(model, settings)), atOnce: settings.maxLoadedModels ?? LOADED },
    }),
    readyTimeoutMs: 300_000,
    // It asks its models' processes to end, and they the answer under way.
    stopGraceMs: 30_000,
    container: {
      image: "ollama",
      user: IMAGE.user,
      volume: IMAGE.data,
      memoryBytes: memoryOf(serves, settings),
    },
  };
}

function servedModel(model: Settings["models"][number], index: number, context: PlanContext): ServedModel | Problem {
  if (typeof model === "string") {
    const name = tagged(model);
    return { name, ...(context.smallModel && { file: { ...context.smallModel, name, standsInFor: name } }) };
  }
  const { from, name = from, ...words } = model;
  const file = context.models.get(from);
  const where = `services.${context.name}.models.${index}.from`;
  if (!file) return undeclaredModel(from, where, context);
  const shards = shardPaths(file.path);
  if ("paths" in shards && shards.paths.length > 1) {
    return {
      code: "OLLAMA_SHARDS",
      where,
      expected: "a model in one file: Ollama takes no other",
      got: `\`${from}\`, which is in ${shards.paths.length} parts`,
      fix: "join them with llama-gguf-split --merge, or serve it with kind: llama-server",
    };
  }
  return { name: tagged(name), file, ...words };
}

const loadOf = (
  { name, file }: ServedModel,
  { contextLength, numParallel, kvCacheType }: Omit<Settings, "env">,
): ModelLoad => ({
  name,
  ...(file && { file }),
  layers: "all",
  contextSize: contextLength * numParallel,
  parallel: numParallel,
  cacheTypes: [kvCacheType, kvCacheType],
});

/** The server lists every model with its tag. */
export function tagged(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).includes(":") ? name : `${name}:latest`;
}

function twice(models: readonly ServedModel[], context: PlanContext): Problem | undefined {
  const names = models.map(({ name }) => name);
  const index = names.findIndex((name, at) => names.indexOf(name) < at);
  if (index < 0) return undefined;
  return {
    code: "OLLAMA_MODEL_TWICE",
    where: `services.${context.name}.models.${index}`,
    expected: "each model once",
    got: `\`${names[index] ?? ""}\` again`,
    fix: "remove one of them, or give one another `name`",
  };
}

/** As many of the largest models as may be loaded at once, with the caches of their conversations. */
function memoryOf(
  serves: readonly ServedModel[],
  { contextLength, numParallel, maxLoadedModels = LOADED }: Omit<Settings, "env">,
): number {
  const sizes = serves.map(({ file }) => (file && file.bytes > 0 ? file.bytes : PULLED_BYTES)).sort((a, b) => b - a);
  const loaded = sizes
    .slice(0, maxLoadedModels)
    .map((bytes) => (1.2 * bytes) / MIB + contextLength * numParallel * CACHE_PER_TOKEN);
  return Math.ceil(loaded.reduce((sum, one) => sum + one, 1024)) * MIB;
}

export const ollama = defineKind<Settings>({
  settings: ollamaSettings,
  className: "Ollama",
  defaultPort: 11434,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan,
  external: defineExternal({
    settings: externalOllama,
    plan: ({ models }, { at }) => ({
      check: { kind: "ollama", url: `http://${at.host}:${at.port}`, models: models.map(tagged) },
    }),
  }),
});
