import { failed } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import type { GgufHeader } from "#checks/gguf.ts";

const SHARD = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;
/** Projectors whose output may be a multiple of the model's width. */
const LAYERED_PROJECTORS = new Set(["qwen3vl_merger"]);
/** More shards than anybody makes; a misread name must not look for millions of files. */
const SHARD_LIMIT = 1000;

/** All files of the model whose first is `path`: `x-00001-of-00003.gguf` and so on, or the file alone. */
export function shardPaths(path: string): { readonly paths: readonly string[] } | { readonly outcome: Outcome } {
  const [, stem = "", number = "", total = ""] = SHARD.exec(path) ?? [];
  if (number === "") return { paths: [path] };
  const name = (index: number) => `${stem}-${String(index).padStart(5, "0")}-of-${total}.gguf`;
  const count = Number(total);
  if (count < 1 || count > SHARD_LIMIT)
    return { outcome: failed(`${path}: expected 1 to ${SHARD_LIMIT} shards, got ${count}`, "correct `file`") };
  if (Number(number) !== 1)
    return { outcome: failed(`${path}: expected the first shard, got number ${Number(number)}`, `name ${name(1)}`) };
  return { paths: Array.from({ length: count }, (_, i) => name(i + 1)) };
}

/** Whether the file is the part that its name says, and a model at all. `index` counts from 0, as the file does. */
export function judgeShard(path: string, { metadata }: GgufHeader, index: number, count: number): Outcome | undefined {
  const type = metadata["general.type"];
  if (metadata["general.architecture"] === "clip" || type === "mmproj")
    return failed(`${path}: expected a model, got a projector`, "name it as `mmproj`, and the model as `file`");
  if (type === "adapter") return failed(`${path}: expected a model, got an adapter (LoRA)`, "name the model as `file`");
  const total = metadata["split.count"];
  const parts = typeof total === "number" ? Math.max(total, 1) : 1;
  if (parts !== count)
    return failed(
      `${path}: expected ${partWords(count)}, got ${partWords(parts)}`,
      "keep the names that the shards were made with",
    );
  const number = metadata["split.no"] ?? 0;
  if (number !== index)
    return failed(`${path}: expected shard ${index + 1}, got shard ${Number(number) + 1}`, "rename or fetch it again");
  return undefined;
}

const partWords = (count: number): string => (count === 1 ? "a whole model" : `one of ${count} shards`);

/** Whether the projector's output fits the width of the model. */
export function judgeMmproj(
  path: string,
  projector: GgufHeader,
  modelPath: string,
  model: GgufHeader,
): { readonly notes: readonly string[] } | { readonly outcome: Outcome } {
  const { metadata } = projector;
  const architecture = String(metadata["general.architecture"]);
  if (architecture !== "clip")
    return { outcome: failed(`${path}: expected a projector (clip), got ${architecture}`, "correct `mmproj`") };
  const output = metadata["clip.vision.projection_dim"] ?? metadata["clip.audio.projection_dim"];
  const width = model.metadata[`${String(model.metadata["general.architecture"])}.embedding_length`];
  if (typeof output !== "number" || typeof width !== "number" || width === 0)
    return { notes: [`cannot verify that ${path} fits: one of them names no width`] };
  if (output === width) return { notes: [] };
  const kind = String(metadata["clip.vision.projector_type"] ?? metadata["clip.projector_type"]);
  if (LAYERED_PROJECTORS.has(kind)) return { notes: [`cannot verify that ${path} (${kind}) fits ${modelPath}`] };
  return {
    outcome: failed(
      `${path}: expected a projector to ${width} values, as ${modelPath} takes, got one to ${output}`,
      "take the projector that was published with the model",
    ),
  };
}
