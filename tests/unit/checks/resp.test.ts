import { describe, expect, it } from "vitest";
import { decodeReply, encodeCommand, NotResp, RespError } from "#checks/resp.ts";

const decode = (text: string) => decodeReply(Buffer.from(text), 0);

describe("encodeCommand", () => {
  it("counts bytes, so that no word needs quoting", () => {
    expect(encodeCommand(["AUTH", `é" \r\n`])).toBe(`*2\r\n$4\r\nAUTH\r\n$6\r\né" \r\n\r\n`);
  });
});

describe("decodeReply", () => {
  it.each([
    ["+OK\r\n", "OK"],
    ["-NOAUTH no\r\n", new RespError("NOAUTH no")],
    [":-12\r\n", -12],
    ["$5\r\na\r\nbc\r\n", "a\r\nbc"],
    ["$0\r\n\r\n", ""],
    ["$-1\r\n", null],
    ["*-1\r\n", null],
    ["*2\r\n:1\r\n*1\r\n+a\r\n", [1, ["a"]]],
  ])("%j", (text, reply) => {
    expect(decode(text)).toEqual({ reply, end: text.length });
  });

  it.each(["", "+", "+OK", "+OK\r", "$5\r\nab", "$5\r\nabcde", "*2\r\n:1\r\n"])("waits for more after %j", (text) => {
    expect(decode(text)).toBeUndefined();
  });

  it.each(["HTTP/1.1 400 Bad Request\r\n", ":x\r\n", "$-2\r\n", "$999999999999\r\n", "*1\r\n".repeat(20)])(
    "refuses %j",
    (text) => {
      expect(() => decode(text)).toThrow(NotResp);
    },
  );

  it("names the first word of an error", () => {
    expect(new RespError("WRONGPASS invalid").code).toBe("WRONGPASS");
  });
});
