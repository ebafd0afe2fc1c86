import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeReply, encodeCommand, NotResp } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

/** A command is a list of bulk strings, so decoding what was encoded must give the words back. */
const words = fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 6 });

describe("decodeReply", () => {
  it("reads back any command, and only once all of it is there", () => {
    fc.assert(
      fc.property(words, fc.nat(), (command, cut) => {
        const bytes = Buffer.from(encodeCommand(command));
        expect(decodeReply(bytes, 0)).toEqual({ reply: command, end: bytes.length });
        expect(decodeReply(bytes.subarray(0, cut % bytes.length), 0)).toBeUndefined();
      }),
    );
  });

  it("throws nothing but NotResp at any bytes", () => {
    const start = fc.constantFrom("", "*3\r\n", "$10\r\n", "*2\r\n$1\r\n");
    fc.assert(
      fc.property(start, fc.uint8Array(), (head, rest) => {
        let result: { reply: Reply } | undefined | "refused";
        try {
          result = decodeReply(Buffer.concat([Buffer.from(head), rest]), 0);
        } catch (error) {
          if (!(error instanceof NotResp)) throw error;
          result = "refused";
        }
        expect(result).toSatisfy((value) => value === undefined || value === "refused" || typeof value === "object");
      }),
    );
  });
});
