/** Small GGUF files for tests, well-formed or not. */
export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly metadata?: readonly (readonly [key: string, value: string | number | boolean | readonly string[]])[];
  /** F32 unless `type` says otherwise. */
  readonly tensors?: readonly { readonly name: string; readonly shape: readonly number[]; readonly type?: number }[];
}

const ALIGNMENT = 32;
const U32 = 4;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** The whole file; all tensors hold zeros, and are laid out as F32 whatever their type. */
export function gguf(parts: GgufParts = {}): Buffer {
  const { magic = "GGUF", version = 3, tensors = [{ name: "a", shape: [32] }] } = parts;
  const metadata = parts.metadata ?? [["general.architecture", "llama"]];
  const bytesOf = (shape: readonly number[]) => padded(4 * shape.reduce((a, b) => a * b, 1));
  let offset = 0;
  const infos = tensors.map(({ name, shape, type = 0 }) => {
    const info = Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)]);
    offset += bytesOf(shape);
    return info;
  });
  const head = [Buffer.from(magic, "latin1"), u32(version), u64(tensors.length), u64(metadata.length)];
  const header = Buffer.concat([
    ...head,
    ...metadata.map(([key, value]) => Buffer.concat([text(key), typed(value)])),
    ...infos,
  ]);
  return Buffer.concat([header, Buffer.alloc(padded(header.length) - header.length + offset)]);
}

function typed(value: string | number | boolean | readonly string[]): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(STRING), text(value)]);
  if (typeof value === "number") return Buffer.concat([u32(U32), u32(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(BOOL), Buffer.from([value ? 1 : 0])]);
  return Buffer.concat([u32(ARRAY), u32(STRING), u64(value.length), ...value.map(text)]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const padded = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
