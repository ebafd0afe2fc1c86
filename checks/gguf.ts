import { constants } from "node:fs";
import { open } from "node:fs/promises";

/*
 * The header of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * An own reader: @huggingface/gguf reads a file that is cut inside its header as one with empty tensors.
 */

/** A scalar or a string of the file; a 64-bit integer too large for a number is rounded. */
export type GgufValue = string | number | boolean;

export interface GgufHeader {
  readonly version: number;
  readonly tensorCount: number;
  /** Without arrays (the vocabulary and such) and without long texts (the chat template). */
  readonly metadata: Readonly<Record<string, GgufValue>>;
  /** Bytes that the file must have, as far as `unknownTypes` allows to say. */
  readonly minimumBytes: number;
  /** Type ids of tensors whose size this reader does not know: their end cannot be verified. */
  readonly unknownTypes: readonly number[];
  readonly weights: GgufWeights;
}

/** What the tensors take, by where llama.cpp puts them. Bytes. */
export interface GgufWeights {
  /** By their number, `blk.<number>.`; of a part of a split model zeros where it has nothing of a layer. */
  readonly layers: readonly GgufLayer[];
  /** The table of the vocabulary. It stays in the memory of the machine, unless it is the output, too. */
  readonly embeddingBytes: number;
  readonly vocabulary: number;
  readonly hasOutput: boolean;
  /** All else: the output, norms. */
  readonly otherBytes: number;
}

export interface GgufLayer {
  readonly bytes: number;
  /** Numbers that its cache has for each token. */
  readonly keys: number;
  readonly values: number;
}

export type GgufResult =
  | { readonly status: "good"; readonly header: GgufHeader }
  | { readonly status: "bad"; readonly reason: string }
  /** The header may go on: ask again with more of the file's first bytes. */
  | { readonly status: "more" };

const FIRST_READ = 1024 * 1024;
/** Vocabularies of 250,000 words take 10 MB; a header beyond this is damage. */
const HEADER_LIMIT = 256 * 1024 * 1024;
const KEY_LIMIT = 65_535;
const KEPT_STRING_LIMIT = 200;
const DEFAULT_ALIGNMENT = 32;
const MAX_DIMENSIONS = 4;
const STRING = 8;
const ARRAY = 9;
/** Bytes of each fixed-size value type, by its id. */
const VALUE_BYTES = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
]);
/** Tensor types by id: elements in a block, bytes of a block. */
const TENSOR_BLOCKS = new Map<number, readonly [number, number]>([
  [0, [1, 4]], // F32
  [1, [1, 2]], // F16
  [2, [32, 18]], // Q4_0
  [3, [32, 20]], // Q4_1
  [6, [32, 22]], // Q5_0
  [7, [32, 24]], // Q5_1
  [8, [32, 34]], // Q8_0
  [9, [32, 36]], // Q8_1
  [10, [256, 84]], // Q2_K
  [11, [256, 110]], // Q3_K
  [12, [256, 144]], // Q4_K
  [13, [256, 176]], // Q5_K
  [14, [256, 210]], // Q6_K
  [15, [256, 292]], // Q8_K
  [16, [256, 66]], // IQ2_XXS
  [17, [256, 74]], // IQ2_XS
  [18, [256, 98]], // IQ3_XXS
  [19, [256, 50]], // IQ1_S
  [20, [32, 18]], // IQ4_NL
  [21, [256, 110]], // IQ3_S
  [22, [256, 82]], // IQ2_S
  [23, [256, 136]], // IQ4_XS
  [24, [1, 1]], // I8
  [25, [1, 2]], // I16
  [26, [1, 4]], // I32
  [27, [1, 8]], // I64
  [28, [1, 8]], // F64
  [29, [256, 56]], // IQ1_M
  [30, [1, 2]], // BF16
  [34, [256, 54]], // TQ1_0
  [35, [256, 66]], // TQ2_0
  [39, [32, 17]], // MXFP4
  [40, [64, 36]], // NVFP4
  [41, [128, 18]], // Q1_0
  [42, [64, 18]], // Q2_0
]);

/** Reads as much of the file as its header takes, and never more than 256 MiB. Rejects with file system errors. */
export async function readGguf(path: string): Promise<GgufResult> {
  // Should a FIFO have taken the file's place meanwhile, opening it must not wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    let bytes = Buffer.alloc(0);
    for (let wanted = FIRST_READ; ; wanted *= 2) {
      const length = Math.min(wanted, size, HEADER_LIMIT);
      const more = Buffer.alloc(length - bytes.length);
      const { bytesRead } = await file.read(more, 0, more.length, bytes.length);
      bytes = Buffer.concat([bytes, more.subarray(0, bytesRead)]);
      const result = parseGguf(bytes, size);
      if (result.status !== "more") return result;
      if (length === HEADER_LIMIT) return bad(`its header is longer than ${HEADER_LIMIT} bytes`);
      // The file shrank while it was read.
      if (bytesRead < more.length || length === size) return bad("it ends inside its header");
    }
  } finally {
    await file.close();
  }
}

/** Judges the first `bytes` of a file of `fileBytes`. Any bytes give a result; nothing throws. */
export function parseGguf(bytes: Uint8Array, fileBytes: number): GgufResult {
  try {
    return parse(new Cursor(bytes, fileBytes), fileBytes);
  } catch (error) {
    if (error instanceof NeedMore) return { status: "more" };
    if (error instanceof Damaged) return bad(error.message);
    throw error;
  }
}

const bad = (reason: string): GgufResult => ({ status: "bad", reason });

class NeedMore extends Error {}
class Damaged extends Error {}

interface Tensor {
  readonly name: string;
  readonly elements: bigint;
  /** What a row of it has, and how many rows there are. */
  readonly columns: number;
  readonly rows: number;
  readonly type: number;
  readonly offset: bigint;
}

function parse(cursor: Cursor, fileBytes: number): GgufResult {
  const magic = cursor.take(4).toString("latin1");
  if (magic !== "GGUF") return bad(`it starts with ${JSON.stringify(printable(magic))}, not with "GGUF"`);
  const version = cursor.u32();
  if (version !== 0 && (version & 0xffff) === 0) return bad("it is written for big-endian machines");
  if (version !== 2 && version !== 3) return bad(`its GGUF version is ${version}, expected 2 or 3`);
  const tensorCount = cursor.count();
  const pairCount = cursor.count();
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i += 1) readPair(cursor, metadata);
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || alignment < 1 || (alignment & (alignment - 1)) !== 0)
    return bad(`its alignment is ${alignment}, expected a power of two`);
  const tensors: Tensor[] = [];
  for (let i = cursor.fits(tensorCount, MIN_TENSOR_BYTES); i > 0; i -= 1) tensors.push(readTensor(cursor));
  const dataStart = padded(BigInt(cursor.offset), BigInt(alignment));
  const minimumBytes = tensors.reduce((most, tensor) => max(most, dataStart + endOf(tensor)), dataStart);
  if (tensors.length > 0 && minimumBytes > BigInt(fileBytes))
    return bad(`it is cut off: its tensors need ${minimumBytes} bytes, the file has ${fileBytes}`);
  const unknownTypes = [...new Set(tensors.map(({ type }) => type).filter((type) => !TENSOR_BLOCKS.has(type)))];
  const weights = weightsOf(tensors);
  const header = { version, tensorCount, metadata: Object.fromEntries(metadata), unknownTypes, weights };
  return { status: "good", header: { ...header, minimumBytes: Number(minimumBytes) } };
}

function readPair(cursor: Cursor, metadata: Map<string, GgufValue>): void {
  const key = cursor.string(KEY_LIMIT);
  const type = cursor.u32();
  if (type === ARRAY) {
    skipArray(cursor);
    return;
  }
  const value = type === STRING ? cursor.string() : cursor.scalar(type);
  if (typeof value !== "string" || value.length <= KEPT_STRING_LIMIT) metadata.set(key, value);
}

function skipArray(cursor: Cursor): void {
  const type = cursor.u32();
  const length = cursor.count();
  const bytes = VALUE_BYTES.get(type);
  if (bytes !== undefined) cursor.skip(length * bytes);
  else if (type === STRING) for (let i = cursor.fits(length, 8); i > 0; i -= 1) cursor.skip(cursor.count());
  else throw new Damaged(`its metadata has an array of unknown type ${type}`);
}

/** An empty name, no dimensions, a type and an offset. */
const MIN_TENSOR_BYTES = 24;

function readTensor(cursor: Cursor): Tensor {
  const name = cursor.string(KEY_LIMIT);
  const dimensions = cursor.u32();
  if (dimensions > MAX_DIMENSIONS) throw new Damaged(`a tensor has ${dimensions} dimensions, expected at most 4`);
  const shape = Array.from({ length: dimensions }, () => cursor.u64());
  const elements = shape.reduce((product, size) => product * size, 1n);
  const type = cursor.u32();
  const [columns = 1n, rows = 1n] = shape;
  return { name, elements, columns: Number(columns), rows: Number(rows), type, offset: cursor.u64() };
}

/** Where the tensor ends behind the start of the data; its start where its type is unknown. */
const endOf = (tensor: Tensor): bigint => tensor.offset + bytesOf(tensor);

function bytesOf({ elements, type }: Tensor): bigint {
  const [blockElements, blockBytes] = TENSOR_BLOCKS.get(type) ?? [1, 0];
  return (elements / BigInt(blockElements)) * BigInt(blockBytes);
}

/** No model has more; a name with a greater number is damage, which must not fill the memory. */
const MAX_LAYERS = 4096;

function weightsOf(tensors: readonly Tensor[]): GgufWeights {
  const layers: GgufLayer[] = [];
  let [embeddingBytes, otherBytes, vocabulary] = [0, 0, 0];
  for (const tensor of tensors) {
    const [, number, part = ""] = /^blk\.(\d+)\.(.*)$/.exec(tensor.name) ?? [];
    const bytes = Number(bytesOf(tensor));
    if (number !== undefined && Number(number) < MAX_LAYERS) {
      while (layers.length <= Number(number)) layers.push({ bytes: 0, keys: 0, values: 0 });
      const layer = layers[Number(number)] ?? { bytes: 0, keys: 0, values: 0 };
      const cache = cacheOf(part, tensor);
      layers[Number(number)] = {
        bytes: layer.bytes + bytes,
        keys: layer.keys + cache.keys,
        values: layer.values + cache.values,
      };
    } else if (tensor.name === "token_embd.weight") {
      embeddingBytes = bytes;
      vocabulary = tensor.rows;
    } else otherBytes += bytes;
  }
  const hasOutput = tensors.some(({ name }) => name === "output.weight");
  return { layers, embeddingBytes, vocabulary, hasOutput, otherBytes };
}

/** The projections tell how wide keys and values are, layer by layer, also where only some layers have a cache. */
function cacheOf(part: string, { rows, columns }: Tensor): Pick<GgufLayer, "keys" | "values"> {
  switch (part) {
    case "attn_k.weight":
      return { keys: rows, values: 0 };
    case "attn_v.weight":
      return { keys: 0, values: rows };
    case "attn_qkv.weight":
      return { keys: Math.max(0, (rows - columns) / 2), values: Math.max(0, (rows - columns) / 2) };
    // Compressed: one of both.
    case "attn_kv_a_mqa.weight":
      return { keys: rows, values: 0 };
    default:
      return { keys: 0, values: 0 };
  }
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const padded = (offset: bigint, alignment: bigint): bigint => ((offset + alignment - 1n) / alignment) * alignment;
const printable = (text: string): string => text.replace(/[^ -~]/g, ".");

/** Walks the bytes at hand. Past them, but inside the file, it throws NeedMore; past the file, Damaged. */
class Cursor {
  offset = 0;
  readonly #bytes: Buffer;
  readonly #fileBytes: number;

  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileBytes = fileBytes;
  }

  take(length: number): Buffer {
    const start = this.#need(length);
    return this.#bytes.subarray(start, this.offset);
  }

  /** Where the next `length` bytes start; the cursor stands behind them. */
  #need(length: number): number {
    const start = this.offset;
    this.skip(length);
    if (this.offset > this.#bytes.length) throw new NeedMore();
    return start;
  }

  skip(length: number): void {
    if (length > this.#fileBytes - this.offset) throw new Damaged("it ends inside its header");
    this.offset += length;
  }

  /** The count again, if so many things of at least `bytes` can follow at all. */
  fits(count: number, bytes: number): number {
    if (count * bytes > this.#fileBytes - this.offset) throw new Damaged("it ends inside its header");
    return count;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#need(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#need(8));
  }

  /** A length or count; one that no file can hold is damage. */
  count(): number {
    const start = this.#need(8);
    const high = this.#bytes.readUInt32LE(start + 4);
    if (high > 0x1f_ffff) throw new Damaged("a length in its header is out of all bounds");
    return high * 2 ** 32 + this.#bytes.readUInt32LE(start);
  }

  string(limit = Number.MAX_SAFE_INTEGER): string {
    const length = this.count();
    if (length > limit) throw new Damaged(`a name in its header has ${length} bytes`);
    return this.take(length).toString("utf8");
  }

  scalar(type: number): GgufValue {
    const size = VALUE_BYTES.get(type);
    if (size === undefined) throw new Damaged(`its metadata has a value of unknown type ${type}`);
    const bytes = this.take(size);
    switch (type) {
      case 0:
        return bytes.readUInt8();
      case 1:
        return bytes.readInt8();
      case 2:
        return bytes.readUInt16LE();
      case 3:
        return bytes.readInt16LE();
      case 4:
        return bytes.readUInt32LE();
      case 5:
        return bytes.readInt32LE();
      case 6:
        return bytes.readFloatLE();
      case 7:
        return bytes.readUInt8() !== 0;
      case 10:
        return Number(bytes.readBigUInt64LE());
      case 11:
        return Number(bytes.readBigInt64LE());
      default:
        return bytes.readDoubleLE();
    }
  }
}
