import type { Gpu } from "#observe/gpu.ts";
import type { GgufHeader, GgufWeights } from "#checks/gguf.ts";
import { cardsOf } from "#checks/gpu.ts";
import type { GpuPlan } from "#stack/gpu.ts";
import type { ModelLoad } from "#stack/plan.ts";

/** What can be said beforehand: between these. Bytes. */
export interface Band {
  readonly low: number;
  readonly high: number;
}

/** What one model takes of the memory of its cards, and why. Bytes. */
export interface LoadEstimate {
  readonly name: string;
  readonly weights: number;
  readonly cache: Band;
  /** For computing, and what CUDA itself takes for a process. */
  readonly buffers: Band;
}

/** The headers of a model's parts, and of what belongs to it. */
export interface ModelFacts {
  readonly headers: readonly Pick<GgufHeader, "metadata" | "weights">[];
  readonly mmprojBytes: number;
}

const MIB = 2 ** 20;
/** Bytes of a number in the cache (facts of ggml's blocks: 32 numbers and their scale). */
const CACHE_BYTES: Readonly<Record<string, number>> = {
  ...{ f32: 4, f16: 2, bf16: 2, q8_0: 34 / 32 },
  ...{ q5_1: 24 / 32, q5_0: 22 / 32, q4_1: 20 / 32, q4_0: 18 / 32, iq4_nl: 18 / 32 },
};
/** The server rounds a context up to a multiple of this. */
const CONTEXT_STEP = 256;
/** Tokens that are computed at once, unless it is told otherwise. */
const UBATCH = 512;
/** What a process takes of a card for CUDA itself. */
const CUDA: Band = { low: 300 * MIB, high: 600 * MIB };
/** Activations, and attention without its fast form: seen up to this beside the table of answers. */
const ACTIVATIONS = 512 * MIB;
/** Of models with a sliding window, seen so far: at least every sixth layer looks at the whole context. */
const WHOLE_CONTEXT = 1 / 6;

export function estimateLoad(load: ModelLoad, { headers, mmprojBytes }: ModelFacts): LoadEstimate {
  const weights = joined(headers.map((header) => header.weights));
  const count = load.layers === "all" ? Number.POSITIVE_INFINITY : load.layers;
  // The last ones go there first, and the output after all of them.
  const layers = count === 0 ? [] : weights.layers.slice(-count);
  const output = count > weights.layers.length ? outputBytes(weights) : 0;
  const [keyBytes = 2, valueBytes = 2] = load.cacheTypes.map((type) => CACHE_BYTES[type]);
  const perToken = layers.reduce((sum, { keys, values }) => sum + keys * keyBytes + values * valueBytes, 0);
  const ubatch = load.ubatchSize ?? UBATCH;
  const cells = stepped(load.contextSize);
  const window = windowOf(headers[0]);
  const windowed = window === undefined ? cells : Math.min(cells, stepped(window * load.parallel + ubatch));
  const logits = weights.vocabulary * ubatch * 4;
  return {
    name: load.name,
    weights: layers.reduce((sum, { bytes }) => sum + bytes, output) + mmprojBytes,
    cache: {
      low: perToken * (cells * WHOLE_CONTEXT + windowed * (1 - WHOLE_CONTEXT)),
      high: perToken * cells,
    },
    // Newer builds keep answers for the tokens alone that they are asked for.
    buffers: { low: CUDA.low, high: 1.5 * logits + ACTIVATIONS + CUDA.high },
  };
}

const stepped = (cells: number): number => Math.ceil(cells / CONTEXT_STEP) * CONTEXT_STEP;

/** Without an output of its own a model uses the table of its vocabulary for it, which is then there twice. */
const outputBytes = ({ otherBytes, hasOutput, embeddingBytes }: GgufWeights): number =>
  otherBytes + (hasOutput ? 0 : embeddingBytes);

function windowOf(header: ModelFacts["headers"][number] | undefined): number | undefined {
  const { metadata = {} } = header ?? {};
  const window = metadata[`${String(metadata["general.architecture"])}.attention.sliding_window`];
  return typeof window === "number" && window > 0 ? window : undefined;
}

/** A split model has its layers in several files. */
function joined(parts: readonly GgufWeights[]): GgufWeights {
  const count = Math.max(0, ...parts.map(({ layers }) => layers.length));
  const sum = (numbers: readonly (number | undefined)[]) => numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
  return {
    layers: Array.from({ length: count }, (_, number) => ({
      bytes: sum(parts.map(({ layers }) => layers[number]?.bytes)),
      keys: sum(parts.map(({ layers }) => layers[number]?.keys)),
      values: sum(parts.map(({ layers }) => layers[number]?.values)),
    })),
    embeddingBytes: sum(parts.map((part) => part.embeddingBytes)),
    vocabulary: Math.max(0, ...parts.map((part) => part.vocabulary)),
    hasOutput: parts.some((part) => part.hasOutput),
    otherBytes: sum(parts.map((part) => part.otherBytes)),
  };
}

export const totalOf = ({ weights, cache, buffers }: LoadEstimate): Band => ({
  low: weights + cache.low + buffers.low,
  high: weights + cache.high + buffers.high,
});

/** What a service wants of its cards. */
export interface GpuNeed {
  readonly service: string;
  readonly gpu: GpuPlan;
  readonly estimates: readonly LoadEstimate[];
  /** How many of the models may lie there at the same time. */
  readonly atOnce: number;
  /** It has models whose size nobody knows. */
  readonly isPartial: boolean;
}

/** One card, and what is to lie in its memory. */
export interface GpuBudget {
  readonly gpu: Gpu;
  /** Free, or taken by the stack itself. Bytes. */
  readonly available: number;
  readonly wanted: Band;
  readonly shares: readonly { readonly need: GpuNeed; readonly band: Band }[];
  readonly verdict: "fits" | "tight" | "too much";
}

/** Beyond this the low end of the estimate leaves no hope. */
const REFUSED = 1.1;
const TIGHT = 0.9;

/**
 * The memory of the cards over the whole stack.
 *
 * @param own what the stack's own processes take now, by card: they make room for themselves.
 */
export function memoryPlan(
  needs: readonly GpuNeed[],
  gpus: readonly Gpu[],
  own: ReadonlyMap<string, number>,
): readonly GpuBudget[] {
  const available = new Map(
    gpus.flatMap(({ uuid, memory }) =>
      memory ? [[uuid, Math.min(memory.totalBytes, memory.freeBytes + (own.get(uuid) ?? 0))] as const] : [],
    ),
  );
  return gpus.flatMap((gpu): readonly GpuBudget[] => {
    const room = available.get(gpu.uuid);
    const shares = needs.flatMap((need) => {
      const part = partOn(gpu, need, gpus, available);
      return part === 0 ? [] : [{ need, band: scaled(bandOf(need), part) }];
    });
    if (room === undefined || shares.length === 0) return [];
    const wanted = {
      low: shares.reduce((sum, { band }) => sum + band.low, 0),
      high: shares.reduce((sum, { band }) => sum + band.high, 0),
    };
    const verdict = wanted.low > REFUSED * room ? "too much" : wanted.high > TIGHT * room ? "tight" : "fits";
    return [{ gpu, available: room, wanted, shares, verdict }];
  });
}

/** Over several cards a model is divided by the room that each has. */
function partOn(gpu: Gpu, need: GpuNeed, gpus: readonly Gpu[], available: ReadonlyMap<string, number>): number {
  const cards = cardsOf(need.gpu, gpus);
  if (!cards.some(({ uuid }) => uuid === gpu.uuid)) return 0;
  const all = cards.reduce((sum, { uuid }) => sum + (available.get(uuid) ?? 0), 0);
  return all === 0 ? 1 / cards.length : (available.get(gpu.uuid) ?? 0) / all;
}

/** Of several models the largest must have room; as many as may be loaded would like to. */
function bandOf({ estimates, atOnce }: GpuNeed): Band {
  const totals = estimates.map(totalOf);
  const most = totals.map(({ high }) => high).sort((a, b) => b - a);
  return {
    low: Math.max(0, ...totals.map(({ low }) => low)),
    high: most.slice(0, atOnce).reduce((sum, high) => sum + high, 0),
  };
}

const scaled = ({ low, high }: Band, part: number): Band => ({ low: low * part, high: high * part });

/** `chat 5.9 to 6.9 GiB (gemma: weights 4.6, cache 0.4 to 0.5, buffers 0.9 to 1.8)` */
export const shareWords = ({ need, band }: GpuBudget["shares"][number]): string => {
  const models = need.estimates.map(
    ({ name, weights, cache, buffers }) =>
      `${name}: weights ${gib(weights)}, cache ${bandWords(cache)}, buffers ${bandWords(buffers)}`,
  );
  const unknown = need.isPartial ? ["something of unknown size"] : [];
  return `${need.service} ${bandWords(band)} GiB (${[...models, ...unknown].join("; ")})`;
};

/** `14.4 to 16.2 GiB of the 11.6 GiB that GPU 0 (NVIDIA GeForce RTX 3060) has free: …` */
export const budgetWords = ({ gpu, available, wanted, shares }: GpuBudget): string =>
  `${bandWords(wanted)} GiB of the ${gib(available)} GiB that GPU ${gpu.index} (${gpu.name}) has for it: ${shares.map(shareWords).join(", ")}`;

const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

function bandWords({ low, high }: Band): string {
  return gib(low) === gib(high) ? gib(high) : `${gib(low)} to ${gib(high)}`;
}
