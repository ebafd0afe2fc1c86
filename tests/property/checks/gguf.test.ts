import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseGguf } from "#checks/gguf.ts";
import { gguf } from "#tests/support/gguf.ts";

const sound = fc
  .record({
    metadata: fc.array(
      fc.tuple(
        fc.string({ maxLength: 20 }).filter((key) => key !== "general.alignment"),
        fc.oneof(fc.string(), fc.nat(), fc.boolean(), fc.array(fc.string())),
      ),
      { maxLength: 8 },
    ),
    tensors: fc.array(
      fc.record({
        name: fc.string({ maxLength: 20 }),
        shape: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(gguf);

const statuses = ["good", "bad", "more"];

describe("parseGguf", () => {
  it("throws at no bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.maxSafeNat(), fc.boolean(), (bytes, size, magic) => {
        const input = magic ? Buffer.concat([Buffer.from("GGUF\x03\0\0\0"), bytes]) : bytes;
        expect(statuses).toContain(parseGguf(input, Math.max(size, input.length)).status);
      }),
      { numRuns: 1000 },
    );
  });

  it("throws at no sound file with some bytes changed", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(sound, changes, (bytes, edits) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of edits) damaged[at % damaged.length] = value;
        expect(statuses).toContain(parseGguf(damaged, damaged.length).status);
      }),
      { numRuns: 500 },
    );
  });

  it("accepts every sound file, and no shorter one beyond its padding", () => {
    fc.assert(
      fc.property(sound, fc.nat(), (bytes, cut) => {
        expect(parseGguf(bytes, bytes.length).status).toBe("good");
        // The last tensor ends at most 31 bytes before the padded end.
        const length = cut % (bytes.length - 31);
        expect(parseGguf(bytes.subarray(0, length), length).status).not.toBe("good");
      }),
      { numRuns: 300 },
    );
  });

  it("comes to the same result whether it is given the bytes at once or bit by bit", () => {
    fc.assert(
      fc.property(sound, fc.nat(), (bytes, at) => {
        const partial = parseGguf(bytes.subarray(0, at % bytes.length), bytes.length);
        if (partial.status !== "more") expect(partial).toEqual(parseGguf(bytes, bytes.length));
      }),
    );
  });
});
