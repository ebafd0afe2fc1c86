import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judgeHttp } from "#checks/http.ts";
import { judgeLlamaAlias, judgeLlamaHealth, judgeLlamaProps, judgeLlamaToken } from "#checks/llama-server.ts";
import { parseStat } from "#checks/process-tree.ts";
import { parseTcpTable } from "#checks/sockets.ts";

const answer = fc.record({
  status: fc.integer({ min: 100, max: 599 }),
  body: fc.oneof(fc.string(), fc.json()),
  headers: fc.constant({}),
});
const url = "http://127.0.0.1:8080/health";

describe("judgeHttp", () => {
  it("is never ready at a redirect, another status or without each pair", () => {
    fc.assert(
      fc.property(answer, fc.option(fc.integer({ min: 100, max: 599 })), (evidence, status) => {
        const check = { kind: "http", url, ...(status === null ? {} : { status }) } as const;
        const outcome = judgeHttp(check, evidence);
        const redirect = evidence.status >= 300 && evidence.status < 400;
        expect(outcome.status === "ready").toBe(!redirect && evidence.status === (status ?? 200));
        expect(judgeHttp({ ...check, json: { "no such key": true } }, evidence).status).not.toBe("ready");
      }),
    );
  });
});

describe("judges of llama-server", () => {
  it("throw at no answer, and let only 200 pass", () => {
    const check = { kind: "llama-server", url, alias: "a", contextSize: 1024 } as const;
    fc.assert(
      fc.property(answer, (evidence) => {
        for (const judge of [judgeLlamaHealth, judgeLlamaAlias, judgeLlamaProps, judgeLlamaToken]) {
          const outcome = judge(check, evidence);
          if (evidence.status !== 200) expect(["pending", "failed"]).toContain(outcome?.status);
        }
      }),
    );
  });
});

describe("readers of /proc", () => {
  it("read past any process name", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 16 }), fc.nat(), fc.nat(), (name, group, startTime) => {
        const rest = `S 7 ${group} ${"0 ".repeat(16)}${startTime} 0 0`;
        expect(parseStat(1, `1 (${name}) ${rest}`)).toEqual({ pid: 1, parent: 7, group, state: "S", startTime });
      }),
    );
  });

  it("throw at no text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Array.isArray(parseTcpTable(text))).toBe(true);
        parseStat(1, text);
      }),
    );
  });
});
