import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readJson, readStartHistory, readTail, readText, startHistory } from "#observe/records.ts";

const start = (at: number) => ({ boot: "b", pid: at, start: at, token: "t", at });
let dir: string;
const path = (name: string): string => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "er-records-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("the history of starts", () => {
  it("is empty before the first", () => expect(startHistory([])).toEqual({ starts: [], restarts: 0 }));
  it("counts no restart after the first", () =>
    expect(startHistory([start(1)])).toEqual({ starts: [start(1)], restarts: 0, since: 1 }));
  it("counts what came after it", () =>
    expect(startHistory([start(1), start(2), start(5)])).toMatchObject({ restarts: 2, since: 5 }));
  it("begins anew where up has started it", () =>
    expect(startHistory([start(1), start(2), { reset: 3 }, start(4)])).toEqual({
      starts: [start(4)],
      restarts: 0,
      since: 4,
    }));
  it("tells when it gave up", () =>
    expect(startHistory([start(1), start(2), { gaveUp: 9, starts: 2 }])).toMatchObject({ restarts: 1, gaveUpAt: 9 }));
  it("forgets that it gave up when up has started it again", () =>
    expect(startHistory([start(1), { gaveUp: 9, starts: 1 }, { reset: 10 }])).toEqual({ starts: [], restarts: 0 }));

  it("is read from the file, without lines that are damaged", () => {
    writeFileSync(path("starts.jsonl"), `${JSON.stringify(start(1))}\nnonsense\nnull\n{"at": 2`);
    expect(readStartHistory(dir)).toEqual({ starts: [start(1)], restarts: 0, since: 1 });
  });
  it("is empty without a file", () => expect(readStartHistory(path("nowhere"))).toEqual({ starts: [], restarts: 0 }));
});

describe("a file that is not there", () => {
  it("has no text, no content and no last lines", () =>
    expect([readText(path("x")), readJson(path("x")), readTail(path("x"))]).toEqual([undefined, undefined, []]));
  it("nor below a file", () => {
    writeFileSync(path("x"), "");
    expect(readText(path("x/y"))).toBeUndefined();
  });
});

it.each([
  ["", undefined],
  ["{", undefined],
  ["null", undefined],
  ['{"a":1}', { a: 1 }],
])("JSON %j is %j", (text, value) => {
  writeFileSync(path("x"), text);
  expect(readJson(path("x"))).toEqual(value);
});

describe("the last lines of a log", () => {
  it("are the last twenty", () => {
    writeFileSync(path("log"), Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join(""));
    expect(readTail(path("log"))).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 10}`));
  });
  it("of a long log are read from its end", () => {
    writeFileSync(path("log"), `${"x".repeat(100_000)}\nlast\n`);
    expect(readTail(path("log"), 1)).toEqual(["last"]);
  });
  it("of an empty log are none", () => {
    writeFileSync(path("log"), "");
    expect(readTail(path("log"))).toEqual([]);
  });
});
