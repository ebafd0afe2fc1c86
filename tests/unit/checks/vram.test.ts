import { describe, expect, it } from "vitest";
import type { GgufWeights } from "#checks/gguf.ts";
import { budgetWords, estimateLoad, memoryPlan, totalOf, type GpuNeed, type ModelFacts } from "#checks/vram.ts";
import type { Gpu } from "#observe/gpu.ts";
import type { ModelLoad } from "#stack/plan.ts";

// Pure sums; what they are compared with was recorded by others, or by the llama-server of the integration tests.

const [MIB, GIB] = [2 ** 20, 2 ** 30];
const layer = { bytes: 100 * MIB, keys: 1024, values: 1024 };
/** The shape of Llama 3 8B: 32 layers, 8 heads of 128 numbers for keys and values, 128,256 words. */
const weights: GgufWeights = {
  layers: Array.from({ length: 32 }, () => layer),
  embeddingBytes: 280 * MIB,
  vocabulary: 128_256,
  hasOutput: true,
  otherBytes: 400 * MIB,
};
const model = (more: Partial<GgufWeights> = {}, metadata = {}, mmprojBytes = 0): ModelFacts => ({
  headers: [{ metadata, weights: { ...weights, ...more } }],
  mmprojBytes,
});
const load = (more: Partial<ModelLoad> = {}): ModelLoad => ({
  name: "m",
  layers: "all",
  contextSize: 8192,
  parallel: 1,
  cacheTypes: ["f16", "f16"],
  ...more,
});
const estimate = (more: Partial<ModelLoad>, facts = model()) => estimateLoad(load(more), facts);
const exactly = (bytes: number) => ({ low: bytes, high: bytes });

describe("the cache", () => {
  it.each<[string, Partial<ModelLoad>, number]>([
    // llama.cpp's log for this shape: "CUDA0 KV buffer size = 1024.00 MiB".
    ["of 16 bits", {}, 1024],
    ["of 8 bits and a scale", { cacheTypes: ["q8_0", "q8_0"] }, 544],
    ["of 4 bits and a scale", { cacheTypes: ["q4_0", "q4_0"] }, 288],
    ["of keys and values of their own", { cacheTypes: ["q8_0", "f16"] }, 272 + 512],
    ["of a context that is rounded up", { contextSize: 8001 }, 1024],
    ["of half of the layers", { layers: 16 }, 512],
  ])("%s", (_what, more, mebibytes) => expect(estimate(more).cache).toEqual(exactly(mebibytes * MIB)));

  it("is that of llama.cpp's own test on CUDA", () => {
    // bge-small, 12 layers of 384 numbers, 512 tokens: "CUDA0 KV buffer size = 9.00 MiB" (ggml-org/ci).
    const layers = Array.from({ length: 12 }, () => ({ bytes: 0, keys: 384, values: 384 }));
    expect(estimate({ contextSize: 512 }, model({ layers })).cache).toEqual(exactly(9 * MIB));
  });

  it("may be smaller with a sliding window", () => {
    const facts = model({}, { "general.architecture": "gemma3", "gemma3.attention.sliding_window": 512 });
    expect(estimate({}, facts).cache).toEqual({
      low: 1024 * MIB * (1 / 6 + (5 / 6) * (1024 / 8192)),
      high: 1024 * MIB,
    });
  });

  it("of layers without one is nothing", () =>
    expect(estimate({}, model({ layers: [{ bytes: MIB, keys: 0, values: 0 }] })).cache).toEqual(exactly(0)));
});

describe("the weights", () => {
  it.each<[string, Partial<ModelLoad>, ModelFacts, number]>([
    ["all", {}, model(), 3200 + 400],
    ["all, the vocabulary being the output", {}, model({ hasOutput: false, otherBytes: MIB }), 3200 + 1 + 280],
    ["of half of the layers", { layers: 16 }, model(), 1600],
    ["of all layers, without the output", { layers: 32 }, model(), 3200],
    ["of none", { layers: 0 }, model(), 0],
    ["with a projector", {}, model({}, {}, 850 * MIB), 3600 + 850],
  ])("%s", (_what, more, facts, mebibytes) => expect(estimate(more, facts).weights).toBe(mebibytes * MIB));

  it("of a split model are those of all its parts", () => {
    const empty = { bytes: 0, keys: 0, values: 0 };
    const first = { ...weights, layers: [layer], hasOutput: false, otherBytes: 0 };
    const second = { ...weights, layers: [empty, layer], embeddingBytes: 0, vocabulary: 0 };
    const headers = [first, second].map((part) => ({ metadata: {}, weights: part }));
    const found = estimate({}, { headers, mmprojBytes: 0 });
    expect([found.weights, found.cache.high]).toEqual([600 * MIB, 64 * MIB]);
  });
});

it("keeps room for computing: logged were 560 MiB for this shape, and CUDA's own part beside it", () => {
  const { low, high } = estimate({}).buffers;
  expect([low, high].map((bytes) => Math.round(bytes / MIB))).toEqual([300, 1488]);
});

describe("a plan", () => {
  const card = (index: number, free: number, total = 24 * GIB): Gpu => ({
    index,
    uuid: `GPU-${index}`,
    name: "NVIDIA GeForce RTX 3090",
    driver: "580.142",
    memory: { totalBytes: total, freeBytes: free },
  });
  /** Of so many GiB, and none for anything but weights. */
  const need = (
    service: string,
    gib: number,
    devices: "all" | readonly string[],
    more: Partial<GpuNeed> = {},
  ): GpuNeed => ({
    service,
    gpu: { devices, required: true },
    estimates: [{ name: "m", weights: gib * GIB, cache: exactly(0), buffers: exactly(0) }],
    atOnce: 1,
    isPartial: false,
    ...more,
  });
  const verdicts = (needs: readonly GpuNeed[], gpus: readonly Gpu[], own = new Map<string, number>()) =>
    memoryPlan(needs, gpus, own).map(({ gpu, verdict }) => [gpu.index, verdict]);

  it.each<[number, string]>([
    [9, "fits"],
    [9.1, "tight"],
    [11, "tight"],
    [11.1, "too much"],
  ])("of %d GiB on a card with 10 is %s", (gib, verdict) =>
    expect(verdicts([need("a", gib, ["0"])], [card(0, 10 * GIB)])).toEqual([[0, verdict]]),
  );

  it("adds up what all services want of a card", () =>
    expect(
      verdicts(
        [need("a", 6, ["0"]), need("b", 6, ["GPU-0"]), need("c", 1, ["1"])],
        [card(0, 10 * GIB), card(1, 10 * GIB)],
      ),
    ).toEqual([
      [0, "too much"],
      [1, "fits"],
    ]));

  it("divides a model by the room on its cards", () => {
    const [first, second] = memoryPlan([need("a", 15, "all")], [card(0, 20 * GIB), card(1, 10 * GIB)], new Map());
    expect([first?.wanted, second?.wanted]).toEqual([exactly(10 * GIB), exactly(5 * GIB)]);
  });

  it("counts as free what the stack itself takes", () =>
    expect(verdicts([need("a", 20, ["0"])], [card(0, 2 * GIB)], new Map([["GPU-0", 21 * GIB]]))).toEqual([
      [0, "fits"],
    ]));

  it("wants room for the largest of several models, and would like it for as many as may be loaded", () => {
    const estimates = [4, 6, 2].map((gib) => need("a", gib, "all").estimates[0]!);
    const [budget] = memoryPlan([need("a", 0, "all", { estimates, atOnce: 2 })], [card(0, 20 * GIB)], new Map());
    expect(budget?.wanted).toEqual({ low: 6 * GIB, high: 10 * GIB });
  });

  it("leaves out a card that nobody uses, and one without memory of its own", () => {
    const { memory: _memory, ...shared } = card(1, 0);
    expect(memoryPlan([need("a", 1, ["1"])], [card(0, GIB), shared], new Map())).toEqual([]);
  });

  it("tells its reasons", () => {
    const { name, ...rest } = estimate({});
    const chat = { ...need("chat", 0, ["0"]), estimates: [{ name: "llama", ...rest }] };
    const [budget] = memoryPlan(
      [chat, need("web", 0, ["0"], { estimates: [], isPartial: true })],
      [card(0, 10 * GIB)],
      new Map(),
    );
    expect(name).toBe("m");
    expect(budgetWords(budget!)).toBe(
      "4.8 to 6.0 GiB of the 10.0 GiB that GPU 0 (NVIDIA GeForce RTX 3090) has for it: " +
        "chat 4.8 to 6.0 GiB (llama: weights 3.5, cache 1.0, buffers 0.3 to 1.5), web 0.0 GiB (something of unknown size)",
    );
    expect(totalOf(chat.estimates[0]!).low / GIB).toBeCloseTo(4.81, 2);
  });
});
