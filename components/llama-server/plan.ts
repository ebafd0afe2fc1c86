import { basename, dirname } from "node:path";
import type { z } from "zod";
import type { ImageName } from "#setup/image-references.ts";
import { gpuPlan, type GpuPlan } from "#stack/gpu.ts";
import type { ModelLoad, ModelPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { defineKind, httpOutputs, MIB, undeclaredModel, type KindPlan, type PlanContext } from "../kind.ts";
import { ownerOf } from "./flags.ts";
import { llamaServerSettings } from "./settings.ts";

const TEMPLATE_FILE = "chat-template.jinja";

/** Of the image's contract (docs/images.md), and where models are mounted. */
const IMAGE = { program: "/app/llama-server", models: "/models", mmproj: "/mmproj" };
/** MiB; 80 layers of 8 heads of 128 numbers, keys and values in 16 bits, are 0.31. */
const CACHE_PER_TOKEN = 0.32;

type Settings = z.output<typeof llamaServerSettings>;

/** More than any model has: builds of before 2025-12 know no word for all of them. */
const ALL_LAYERS = 999;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const model = context.models.get(settings.model);
  if (!model) return undeclaredModel(settings.model, `services.${context.name}.model`, context);
  const owned = settings.args.filter((argument) => ownerOf(argument) !== undefined);
  if (owned.length > 0) return ownedFlags(owned, context.name);
  const alias = settings.alias ?? model.name;
  const gpu = gpuPlan(settings.gpu);
  const layers = settings.gpuLayers ?? (gpu && "all");
  if (layers !== undefined && layers !== 0 && !gpu) return layersWithoutGpu(context);
  const onHost = context.in === "host";
  const seen = (path: string, mount: string): string => (onHost ? path : `${mount}/${basename(path)}`);
  return {
    // Context and slots are always given: the server would shrink what is left open to what fits (`--fit`).
    argv: [
      onHost ? context.tool("llama-server").path : IMAGE.program,
      ...["--model", seen(model.path, IMAGE.models), "--alias", alias],
      ...["--host", context.listen, "--port", String(context.port)],
      ...["--ctx-size", String(settings.contextSize), "--parallel", String(settings.parallel)],
      ...given("--threads", settings.threads),
      ...given("--batch-size", settings.batchSize),
      ...given("--ubatch-size", settings.ubatchSize),
      ...given("--flash-attn", settings.flashAttention),
      ...given("--cache-type-k", settings.cacheTypeK),
      ...given("--cache-type-v", settings.cacheTypeV),
      ...(settings.embeddings ? ["--embeddings"] : []),
      // The small model was not made for embeddings: it names no way to make one vector of its tokens'.
      ...(settings.embeddings && model.standsInFor !== undefined && !settings.args.includes("--pooling")
        ? ["--pooling", "mean"]
        : []),
      ...(settings.jinja === undefined ? [] : [settings.jinja ? "--jinja" : "--no-jinja"]),
      ...(layers === undefined ? [] : ["--n-gpu-layers", String(layers === "all" ? ALL_LAYERS : layers)]),
      // Only from here on it says how many layers lie where.
      ...(gpu ? ["--log-verbosity", "4"] : []),
      ...(model.mmproj ? ["--mmproj", seen(model.mmproj, IMAGE.mmproj)] : []),
      ...(settings.chatTemplate ? ["--chat-template-file", `${context.home}/${TEMPLATE_FILE}`] : []),
      ...settings.args,
    ],
    ...(settings.chatTemplate && {
      files: [{ path: TEMPLATE_FILE, mode: "0600", content: [settings.chatTemplate] }],
    }),
    tools: ["llama-server"],
    model,
    check: {
      kind: "llama-server",
      url: `http://${context.at.host}:${context.at.port}`,
      alias,
      // A small model that stands in for a large one may know no context of that size: the server takes its own then.
      contextSize: model.standsInFor === undefined ? settings.contextSize : 0,
      ...(settings.embeddings && { embeddings: true }),
      ...(gpu && layers !== undefined && layers !== 0 && { gpu: { required: gpu.required, layers } }),
    },
    ...(gpu && layers !== undefined && { loads: { models: [loadOf(model, layers, settings)], atOnce: 1 } }),
    readyTimeoutMs: 300_000,
    // Long enough for the answer under way; the server frees its memory afterwards.
    stopGraceMs: 30_000,
    container: {
      image: imageFor(gpu, context),
      user: context.accountIds,
      // The directory, because a split model is several files.
      mounts: {
        [IMAGE.models]: dirname(model.path),
        ...(model.mmproj && { [IMAGE.mmproj]: dirname(model.mmproj) }),
      },
      memoryBytes: memoryOf(model, settings.contextSize),
    },
  };
}

const given = (flag: string, value: string | number | undefined): readonly string[] =>
  value === undefined ? [] : [flag, String(value)];

const ownedFlags = (flags: readonly string[], name: string): Problem => ({
  code: "FLAG_OWNED",
  where: `services.${name}.args`,
  expected: "flags that nothing else of the stack file decides",
  got: flags.map((flag) => `\`${flag}\``).join(", "),
  fix: flags.map((flag) => `${flag} is decided by ${ownerOf(flag) ?? ""}`).join("; "),
});

const loadOf = (file: ModelPlan, layers: ModelLoad["layers"], settings: Omit<Settings, "env">): ModelLoad => ({
  name: file.name,
  file,
  layers,
  contextSize: settings.contextSize,
  parallel: settings.parallel,
  cacheTypes: [settings.cacheTypeK ?? "f16", settings.cacheTypeV ?? "f16"],
  ...(settings.ubatchSize !== undefined && { ubatchSize: settings.ubatchSize }),
});

/** One for GPUs comes from a registry alone; where that is out of reach, one that may do without takes the CPU. */
const imageFor = (gpu: GpuPlan | undefined, { imageSource }: PlanContext): ImageName =>
  gpu && (gpu.required || imageSource === "registry") ? "llama-server-cuda" : "llama-server";

const layersWithoutGpu = ({ name }: PlanContext): Problem => ({
  code: "GPU_UNDECLARED",
  where: `services.${name}.gpuLayers`,
  expected: "`gpu` beside it, which says on which cards",
  got: "none",
  fix: `set services.${name}.gpu, such as { count: 1 }`,
});

/** Weights, twice the cache of a large model for each token of the context, and the server itself. */
const memoryOf = ({ bytes }: ModelPlan, contextSize: number): number =>
  Math.ceil((1.2 * bytes) / MIB + contextSize * CACHE_PER_TOKEN + 1024) * MIB;

export const llamaServer = defineKind<Settings>({
  settings: llamaServerSettings,
  className: "LlamaServer",
  defaultPort: 8081,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan,
});
