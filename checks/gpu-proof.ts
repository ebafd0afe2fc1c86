import { failed, type GpuProof, type Outcome } from "#checks/check.ts";
import type { ProbeContext } from "#checks/run.ts";
import { lookAtGpuProcesses, type GpuProcess } from "#observe/gpu.ts";

/** What was found out about the use of a GPU. */
export type GpuUse = { readonly used: string } | { readonly unused: string } | { readonly unknown: string };

type Ready = Extract<Outcome, { status: "ready" }>;

/** Adds to a success whether it was one on a GPU; without one it is none where the GPU is required. */
export async function proveGpu(
  outcome: Ready,
  proof: GpuProof,
  context: ProbeContext,
  signal: AbortSignal,
): Promise<Outcome> {
  return judgeUse(outcome, proof, await useOf(proof, context, signal));
}

export function judgeUse(outcome: Ready, { required }: GpuProof, use: GpuUse): Outcome {
  if ("used" in use) return { ...outcome, detail: `${outcome.detail}; ${use.used}` };
  if ("unknown" in use) return { ...outcome, detail: `${outcome.detail}; ${use.unknown}` };
  return required ? failed(use.unused, FIX) : { ...outcome, degraded: use.unused };
}

export const FIX =
  "see its log for why (no GPU in its container, a build for the CPU alone, a driver that is too old), or set `required: false` in its `gpu`";

async function useOf(
  { layers, devices }: GpuProof,
  { log, processTree, inside, quick }: ProbeContext,
  signal: AbortSignal,
): Promise<GpuUse> {
  if (layers !== undefined) {
    const lines = (await log?.()) ?? [];
    const offload = judgeOffload(lines, layers);
    if (offload) return offload;
    const [tree = [], processes] = await Promise.all([processTree?.(), lookAtGpuProcesses()]);
    const use = judgeProcesses(tree, processes);
    // Not every driver tells of processes (WSL); what a busy server said at its start is not in its last lines any more.
    return quick && "unused" in use && !lines.some((line) => LOADING.test(line)) ? { unknown: NOT_SEEN } : use;
  }
  if (devices === undefined || !inside) return { unknown: "no GPU was looked for" };
  const end = await inside.run(["nvidia-smi", "--query-gpu=count", "--format=csv,noheader"], signal);
  return judgeInside(end, devices);
}

const NOT_SEEN = "its use of a GPU does not show any more";

/** llama.cpp begins with this line whenever it loads a model. */
const LOADING = /llama_model_loader: loaded meta data with/;
const OFFLOADED = /offloaded (\d+)\/(\d+) layers to GPU/;
/** `CUDA0 model buffer size = 4403.49 MiB`; older builds leave the word for weights out. */
const BUFFER = /(\S+)\s+(?:(?:model|KV|compute|output|RS) )?buffer size\s*=\s*([\d.]+) MiB/;
const NOT_GPU = /^(CPU|BLAS)|_Host$/;

/** What the log says of the last time that a model was loaded; undefined where it says nothing. */
export function judgeOffload(lines: readonly string[], layers: number | "all"): GpuUse | undefined {
  const last = lines.slice(
    Math.max(
      0,
      lines.findLastIndex((line) => LOADING.test(line)),
    ),
  );
  const [, offloaded = "", total = ""] = last.map((line) => OFFLOADED.exec(line)).find((match) => match) ?? [];
  if (offloaded === "") return undefined;
  const buffers = last.flatMap((line) => {
    const [, device = "", mebibytes = ""] = BUFFER.exec(line) ?? [];
    return device === "" ? [] : { device, mebibytes: Number(mebibytes) };
  });
  if (buffers.length === 0) return undefined;
  const there = buffers.reduce((sum, { device, mebibytes }) => sum + (NOT_GPU.test(device) ? 0 : mebibytes), 0);
  // Without a card a build that could use one says of all layers that they are there.
  if (there === 0) return { unused: "it runs on the CPU: none of the memory that it took is a GPU's" };
  const wanted = Math.min(layers === "all" ? Number(total) : layers, Number(total));
  const words = `${offloaded} of ${total} layers on the GPU`;
  if (Number(offloaded) < wanted) return { unused: `only ${words}, expected ${wanted}` };
  return { used: `${words}, ${Math.round(there)} MiB there` };
}

/** By the driver's own list of processes that compute. */
export function judgeProcesses(tree: readonly number[], processes: readonly GpuProcess[]): GpuUse {
  const own = processes.filter(({ pid }) => tree.includes(pid));
  if (own.length === 0) return { unused: "it runs on the CPU: none of its processes computes on a GPU" };
  const bytes = own.reduce((sum, process) => sum + (process.bytes ?? 0), 0);
  return { used: bytes === 0 ? "it computes on a GPU" : `${Math.round(bytes / 2 ** 20)} MiB on the GPU` };
}

/** By nvidia-smi in its container: one line a card, each with their number. */
export function judgeInside(
  end: { readonly exitCode: number | undefined; readonly code?: string | undefined; readonly lastLine: string },
  devices: "all" | readonly string[],
): GpuUse {
  if (end.code !== undefined)
    return { unknown: `its cards are not proven: nvidia-smi cannot be run in it (${end.code})` };
  if (end.exitCode !== 0)
    return { unused: `it sees no GPU: ${end.lastLine || `nvidia-smi ended with ${end.exitCode ?? "a signal"}`}` };
  const count = Number(end.lastLine);
  const wanted = devices === "all" ? 1 : new Set(devices).size;
  return count >= wanted
    ? { used: `it sees ${count} ${count === 1 ? "GPU" : "GPUs"}` }
    : { unused: `it sees ${end.lastLine || "no"} GPUs, expected ${wanted}` };
}
