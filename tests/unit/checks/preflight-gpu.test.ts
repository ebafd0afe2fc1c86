import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gpuPreflight, gpuWarnings } from "#checks/preflight-gpu.ts";
import type { Gpu, GpuProcess } from "#observe/gpu.ts";
import type { World } from "#observe/world.ts";
import type { RawStack } from "#stack/load.ts";
import { gguf } from "#tests/support/gguf.ts";
import { worldOf } from "#tests/support/registered.ts";
import { temporaryDir } from "#tests/support/servers.ts";

// Real files, and a card on paper: what nvidia-smi tells is data here (tests/unit/observe/gpu.test.ts has the recordings).

const MIB = 2 ** 20;
const uuid = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a";
const card = (freeMib: number): Gpu => ({
  index: 0,
  uuid,
  name: "GeForce RTX 2080",
  driver: "580.142",
  memory: { totalBytes: 7979 * MIB, freeBytes: freeMib * MIB },
});

let file: string;
let dir: string;
let temporary: AsyncDisposable & { readonly path: string };
afterAll(() => temporary[Symbol.asyncDispose]());
beforeAll(async () => {
  temporary = await temporaryDir();
  dir = temporary.path;
  file = join(dir, "small.gguf");
  // 4 MiB of a layer with 1,024 keys and values for a token; 8 MiB of vocabulary that are the output, too.
  const tensors = [
    { name: "token_embd.weight", shape: [1024, 2048] },
    { name: "blk.0.attn_k.weight", shape: [512, 1024] },
    { name: "blk.0.attn_v.weight", shape: [512, 1024] },
  ];
  writeFileSync(file, gguf({ tensors }));
});

function worldWith(services: RawStack["services"], freeMib: number, processes: readonly GpuProcess[] = []): World {
  const world = worldOf({ models: { small: { file } }, services });
  const host = { ...world.context.host, cacheDir: dir };
  const gpus = { look: { state: "seen" as const, gpus: [card(freeMib)], processes } };
  return { ...world, context: { ...world.context, host }, gpus };
}
const chat = { kind: "llama-server", model: "small", gpu: { count: 1 }, contextSize: 4096 };
const llm = { kind: "ollama", models: [{ from: "small" }, "gemma2:2b"], gpu: { uuids: [uuid] }, contextLength: 4096 };
const words = async (world: World) => (await gpuPreflight(world)).map(({ where, got, code }) => [code, where, got]);

describe("the memory of a card", () => {
  it("is refused where all services together want too much of it, with the sums", async () =>
    expect(await words(worldWith({ chat, llm }, 500))).toEqual([
      [
        "GPU_MEMORY",
        "memory of GPU 0",
        "0.6 to 2.2 GiB of the 0.5 GiB that GPU 0 (GeForce RTX 2080) has for it: " +
          "chat 0.3 to 1.1 GiB (small: weights 0.0, cache 0.0, buffers 0.3 to 1.1), " +
          "llm 0.3 to 1.1 GiB (small:latest: weights 0.0, cache 0.0, buffers 0.3 to 1.1; something of unknown size)",
      ],
    ]));

  it("is warned of where it may get short, and not spoken of where it suffices", async () => {
    const warnings = async (freeMib: number) => {
      const world = worldWith({ chat }, freeMib);
      expect(await words(world)).toEqual([]);
      return [...(await gpuWarnings(world, world.gpus!))];
    };
    expect(await warnings(1000)).toEqual([
      [
        "chat",
        [
          "memory may get short: 0.3 to 1.1 GiB of the 1.0 GiB that GPU 0 (GeForce RTX 2080) has for it: " +
            "chat 0.3 to 1.1 GiB (small: weights 0.0, cache 0.0, buffers 0.3 to 1.1)",
        ],
      ],
    ]);
    expect(await warnings(4000)).toEqual([]);
  });

  it("is free as far as the stack's own processes have it", async () => {
    const world = worldWith({ chat }, 100, [{ uuid, pid: process.pid, bytes: 1000 * MIB }]);
    expect(await words(world)).toMatchObject([["GPU_MEMORY", "memory of GPU 0", expect.any(String)]]);
    const program = {
      name: "chat",
      state: "RUNNING" as const,
      pid: process.pid,
      exitStatus: 0,
      startedAt: 0,
      stoppedAt: 0,
      spawnError: "",
    };
    const seen = { stands: true, edited: [], history: { starts: [], restarts: 0 }, program };
    const running = { ...world, seen: { ...world.seen, services: new Map([["chat", seen]]) } };
    expect(await words(running)).toEqual([]);
  });

  it("is nobody's where a model cannot be read, which is told by itself", async () => {
    const world = worldWith({ chat }, 1);
    const gone = worldOf({
      models: { gone: { file: "/nowhere/gone.gguf" } },
      services: { chat: { ...chat, model: "gone" } },
    });
    expect(await words({ ...world, plan: gone.plan })).toEqual([]);
  });
});
