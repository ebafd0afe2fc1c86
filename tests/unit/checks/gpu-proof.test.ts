import { describe, expect, it } from "vitest";
import { failed, ready } from "#checks/check.ts";
import { FIX, judgeInside, judgeOffload, judgeProcesses, judgeUse, proveGpu, type GpuUse } from "#checks/gpu-proof.ts";

// Recorded lines; no card was at hand. `bge` is of llama.cpp's own tests on CUDA (ggml-org/ci, 2025), with the times
// that a server writes before each line; `commandR` of ggml-org/llama.cpp pull request 6122, two cards, 2024.

const bge = [
  "0.00.290.001 I llama_model_loader: loaded meta data with 24 key-value pairs and 197 tensors from bge-small.gguf",
  "0.00.309.530 I load_tensors: offloading 12 repeating layers to GPU",
  "0.00.309.537 I load_tensors: offloading output layer to GPU",
  "0.00.309.538 I load_tensors: offloaded 13/13 layers to GPU",
  "0.00.309.542 I load_tensors:        CUDA0 model buffer size =    40.73 MiB",
  "0.00.309.543 I load_tensors:   CPU_Mapped model buffer size =    23.11 MiB",
  "0.00.352.020 I init:      CUDA0 KV buffer size =     9.00 MiB",
  "0.00.326.172 I reserve:      CUDA0 compute buffer size =    16.75 MiB",
  "0.00.326.181 I reserve:  CUDA_Host compute buffer size =     2.51 MiB",
];
const commandR = [
  "llm_load_tensors: offloaded 41/41 layers to GPU",
  "llm_load_tensors:        CPU buffer size =  1640.62 MiB",
  "llm_load_tensors:      CUDA0 buffer size =  5434.38 MiB",
  "llm_load_tensors:      CUDA1 buffer size = 13989.53 MiB",
  "llama_kv_cache_init:      CUDA0 KV buffer size =  1536.00 MiB",
  "llama_kv_cache_init:      CUDA1 KV buffer size =  3584.00 MiB",
  "llama_new_context_with_model:  CUDA_Host  output buffer size =     1.95 MiB",
  "llama_new_context_with_model:      CUDA0 compute buffer size =   672.01 MiB",
];
const cpu = [
  "0.01.026.775 I llama_model_loader: loaded meta data with 33 key-value pairs and 236 tensors from gemma.gguf",
  "0.02.018.114 I load_tensors: offloading 17 repeating layers to GPU",
  "0.02.018.114 I load_tensors: offloaded 19/19 layers to GPU",
  "0.02.018.122 I load_tensors:   CPU_Mapped model buffer size =   235.16 MiB",
  "0.02.018.123 I load_tensors:   CPU_REPACK model buffer size =    12.66 MiB",
  "0.02.033.468 I llama_context:        CPU  output buffer size =     1.00 MiB",
  "0.02.033.510 I llama_kv_cache:        CPU KV buffer size =     6.00 MiB",
  "0.02.049.067 I sched_reserve:        CPU compute buffer size =    20.77 MiB",
];
const onCpu = "it runs on the CPU: none of the memory that it took is a GPU's";
const without = (lines: readonly string[], offloaded: string) =>
  lines.map((line) => line.replace(/offloaded \d+\/\d+/, `offloaded ${offloaded}`));

describe("a log of llama-server", () => {
  it.each<[string, readonly string[], number | "all", GpuUse | undefined]>([
    ["all layers", bge, "all", { used: "13 of 13 layers on the GPU, 66 MiB there" }],
    ["two cards, an older build", commandR, "all", { used: "41 of 41 layers on the GPU, 25216 MiB there" }],
    ["as many as declared", without(bge, "5/13"), 5, { used: "5 of 13 layers on the GPU, 66 MiB there" }],
    ["more declared than there are", bge, 99, { used: "13 of 13 layers on the GPU, 66 MiB there" }],
    ["fewer", without(bge, "5/13"), "all", { unused: "only 5 of 13 layers on the GPU, expected 13" }],
    ["none", without(cpu, "0/13"), "all", { unused: onCpu }],
    // llama.cpp b10434 with Vulkan, on the machine of these tests.
    ["all of them, without a card", cpu, "all", { unused: onCpu }],
    ["no word of memory", bge.slice(0, 4), "all", undefined],
    ["nothing said, as of a build for the CPU", bge.slice(0, 1), "all", undefined],
    ["nothing at all", [], "all", undefined],
    ["a start before this one does not count", [...bge, ...bge.slice(0, 1)], "all", undefined],
  ])("%s", (_what, lines, layers, use) => expect(judgeOffload(lines, layers)).toEqual(use));
});

describe("the driver's list of processes", () => {
  const uuid = "GPU-a44622e3-2296-6285-0a86-84d0f6c67900";
  const cpu = "it runs on the CPU: none of its processes computes on a GPU";
  it.each<[string, readonly number[], GpuUse]>([
    ["its own", [7, 1_328_667], { used: "130004 MiB on the GPU" }],
    ["one of unknown size", [1_425_258], { used: "it computes on a GPU" }],
    ["others' alone", [7], { unused: cpu }],
    ["of nobody", [], { unused: cpu }],
  ])("%s", (_what, tree, use) =>
    expect(
      judgeProcesses(tree, [
        { uuid, pid: 1_328_667, bytes: 130_004 * 2 ** 20 },
        { uuid, pid: 1_425_258 },
      ]),
    ).toEqual(use),
  );
});

describe("nvidia-smi in a container", () => {
  it.each<[string, Parameters<typeof judgeInside>[0], "all" | readonly string[], GpuUse]>([
    ["a card", { exitCode: 0, lastLine: "1" }, ["0"], { used: "it sees 1 GPU" }],
    ["all", { exitCode: 0, lastLine: "8" }, "all", { used: "it sees 8 GPUs" }],
    ["too few", { exitCode: 0, lastLine: "1" }, ["0", "1"], { unused: "it sees 1 GPUs, expected 2" }],
    [
      "lost after a reload of systemd",
      { exitCode: 255, lastLine: "Failed to initialize NVML: Unknown Error" },
      ["0"],
      { unused: "it sees no GPU: Failed to initialize NVML: Unknown Error" },
    ],
    [
      "no nvidia-smi in it",
      { exitCode: 127, code: "ENOENT", lastLine: "" },
      ["0"],
      { unknown: "its cards are not proven: nvidia-smi cannot be run in it (ENOENT)" },
    ],
  ])("%s", (_what, end, devices, use) => expect(judgeInside(end, devices)).toEqual(use));
});

describe("a success", () => {
  const work = { status: "ready", detail: "a token" } as const;
  it.each<[string, boolean, GpuUse, unknown]>([
    ["on a GPU", true, { used: "13 of 13 layers" }, ready("a token; 13 of 13 layers")],
    ["of which nothing is known", true, { unknown: "not proven" }, ready("a token; not proven")],
    ["on the CPU is none where a GPU is required", true, { unused: "on the CPU" }, failed("on the CPU", FIX)],
    ["on the CPU is degraded elsewhere", false, { unused: "on the CPU" }, { ...work, degraded: "on the CPU" }],
  ])("%s", (_what, required, use, outcome) => expect(judgeUse(work, { required }, use)).toEqual(outcome));
});

// No machine with a card: nvidia-smi is not there, or lists nothing of this process.
describe("a llama-server that says nothing of its layers", () => {
  const use = (quick: boolean, lines: readonly string[]) =>
    proveGpu(
      { status: "ready", detail: "a token" },
      { required: true, layers: "all" },
      { quick, log: () => Promise.resolve(lines), processTree: () => Promise.resolve([process.pid]) },
      AbortSignal.timeout(10_000),
    );
  const unused = failed("it runs on the CPU: none of its processes computes on a GPU", FIX);

  it.each<[string, boolean, readonly string[], unknown]>([
    ["fails at its start", false, [], unused],
    ["fails in a quick look that sees its start", true, bge.slice(0, 1), unused],
    [
      "is left in peace by one that does not",
      true,
      ["slot"],
      ready("a token; its use of a GPU does not show any more"),
    ],
  ])("%s", async (_what, quick, lines, outcome) => expect(await use(quick, lines)).toEqual(outcome));
});
