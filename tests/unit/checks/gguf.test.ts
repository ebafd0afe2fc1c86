import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseGguf, readGguf } from "#checks/gguf.ts";
import { gguf, text, u32, u64 } from "#tests/support/gguf.ts";
import { temporaryDir } from "#tests/support/servers.ts";

const whole = (bytes: Buffer) => parseGguf(bytes, bytes.length);
const bad = (reason: string) => ({ status: "bad", reason });
const header = (...rest: Buffer[]) => Buffer.concat([Buffer.from("GGUF"), u32(3), ...rest]);

describe("parseGguf", () => {
  it("reads metadata of all kinds and the size that the tensors need", () => {
    const bytes = gguf({
      metadata: [
        ["general.architecture", "gemma3"],
        ["gemma3.context_length", 32768],
        ["tokenizer.ggml.tokens", ["a", "bb", ""]],
        ["tokenizer.ggml.add_bos_token", true],
      ],
      tensors: [
        { name: "a", shape: [32, 2] },
        { name: "b", shape: [8] },
      ],
    });
    const result = whole(bytes);
    expect(result).toEqual({
      status: "good",
      header: {
        version: 3,
        tensorCount: 2,
        metadata: {
          "general.architecture": "gemma3",
          "gemma3.context_length": 32768,
          "tokenizer.ggml.add_bos_token": true,
        },
        minimumBytes: bytes.length,
        unknownTypes: [],
        weights: { layers: [], embeddingBytes: 0, vocabulary: 0, hasOutput: false, otherBytes: 4 * (64 + 8) },
      },
    });
  });

  it("weighs layer by layer, with the numbers that a cache has for a token", () => {
    const result = whole(
      gguf({
        tensors: [
          { name: "token_embd.weight", shape: [32, 100] },
          { name: "blk.0.attn_k.weight", shape: [32, 16] },
          { name: "blk.0.attn_v.weight", shape: [32, 8] },
          { name: "blk.0.ffn_up.weight", shape: [32, 64] },
          { name: "blk.2.attn_qkv.weight", shape: [32, 64] },
          { name: "blk.3.attn_kv_a_mqa.weight", shape: [32, 24] },
          { name: "blk.99999.odd.weight", shape: [8] },
          { name: "output.weight", shape: [32, 100] },
        ],
      }),
    );
    expect(result.status === "good" && result.header.weights).toEqual({
      layers: [
        { bytes: 4 * 32 * (16 + 8 + 64), keys: 16, values: 8 },
        { bytes: 0, keys: 0, values: 0 },
        { bytes: 4 * 32 * 64, keys: 16, values: 16 },
        { bytes: 4 * 32 * 24, keys: 24, values: 0 },
      ],
      embeddingBytes: 4 * 3200,
      vocabulary: 100,
      hasOutput: true,
      otherBytes: 4 * (3200 + 8),
    });
  });

  it("counts the bytes of quantised tensors by their blocks", () => {
    const parts = { tensors: [{ name: "a", shape: [256, 4], type: 12 }] };
    const result = whole(gguf(parts));
    const plain = whole(gguf({ tensors: [{ name: "a", shape: [0, 4] }] }));
    if (result.status !== "good" || plain.status !== "good") throw new Error("expected both to be good");
    expect(result.header.minimumBytes - plain.header.minimumBytes).toBe(4 * 144);
  });

  it("says how much is missing of a file that is cut in its data", () => {
    const bytes = gguf();
    const cut = bytes.subarray(0, bytes.length - 1);
    expect(whole(cut)).toEqual(
      bad(`it is cut off: its tensors need ${bytes.length} bytes, the file has ${bytes.length - 1}`),
    );
  });

  it("refuses a file that is cut anywhere in its header", () => {
    const bytes = gguf({ metadata: [["tokenizer.ggml.tokens", ["a", "b"]]] });
    for (let length = 4; length < bytes.length - 128; length += 1)
      expect(whole(bytes.subarray(0, length)).status, `${length} bytes`).toBe("bad");
  });

  it("asks for more where the file goes on", () => {
    const bytes = gguf();
    for (let length = 0; length < bytes.length - 160; length += 1)
      expect(parseGguf(bytes.subarray(0, length), bytes.length), `${length} bytes`).toEqual({ status: "more" });
  });

  it.each([
    ["another magic", gguf({ magic: "\x00PK\x03" }), 'it starts with ".PK.", not with "GGUF"'],
    ["version 1", gguf({ version: 1 }), "its GGUF version is 1, expected 2 or 3"],
    ["version 4", gguf({ version: 4 }), "its GGUF version is 4, expected 2 or 3"],
    ["the other byte order", gguf({ version: 3 << 24 }), "it is written for big-endian machines"],
    [
      "an alignment of 3",
      gguf({ metadata: [["general.alignment", 3]] }),
      "its alignment is 3, expected a power of two",
    ],
    ["more tensors than fit", header(u64(2n ** 40n), u64(0)), "it ends inside its header"],
    ["a count out of bounds", header(u64(2n ** 60n), u64(0)), "a length in its header is out of all bounds"],
    ["an endless name", header(u64(0), u64(1), u64(2n ** 40n)), "a name in its header has 1099511627776 bytes"],
    ["an endless string", header(u64(0), u64(1), text("k"), u32(8), u64(2n ** 40n)), "it ends inside its header"],
    [
      "an endless array",
      header(u64(0), u64(1), text("k"), u32(9), u32(5), u64(2n ** 50n)),
      "it ends inside its header",
    ],
    [
      "an array of arrays",
      header(u64(0), u64(1), text("k"), u32(9), u32(9), u64(1)),
      "its metadata has an array of unknown type 9",
    ],
    ["an unknown value", header(u64(0), u64(1), text("k"), u32(99)), "its metadata has a value of unknown type 99"],
    [
      "five dimensions",
      header(u64(1), u64(0), text("t"), u32(5), Buffer.alloc(60)),
      "a tensor has 5 dimensions, expected at most 4",
    ],
  ])("refuses %s", (_, bytes, reason) => {
    expect(whole(bytes)).toEqual(bad(reason));
  });

  it("accepts a tensor type that it does not know, and says so", () => {
    const result = whole(gguf({ tensors: [{ name: "a", shape: [32], type: 99 }] }));
    expect(result).toMatchObject({ status: "good", header: { unknownTypes: [99] } });
  });
});

describe("readGguf", () => {
  it("reads a header longer than its first read, and no more than the header of a large file", async () => {
    await using dir = await temporaryDir();
    const path = join(dir.path, "x.gguf");
    const words = Array.from({ length: 100_000 }, (_, i) => `some-longer-word-${i}`);
    const bytes = gguf({ metadata: [["tokenizer.ggml.tokens", words]] });
    writeFileSync(path, bytes);
    // A hole of 100 GiB: reading it all would not end in time.
    truncateSync(path, 100 * 2 ** 30);
    expect(await readGguf(path)).toMatchObject({ status: "good", header: { minimumBytes: bytes.length } });
  });

  it("gives a reason for the shortest files", async () => {
    await using dir = await temporaryDir();
    const path = join(dir.path, "x.gguf");
    for (const content of ["", "G", "GGUF"]) {
      writeFileSync(path, content);
      expect(await readGguf(path)).toEqual(bad("it ends inside its header"));
    }
  });
});
