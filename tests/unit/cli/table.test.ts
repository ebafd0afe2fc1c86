import { describe, expect, it } from "vitest";
import { table, wantsColour } from "#cli/table.ts";

describe("table", () => {
  it("aligns columns and ends no line with blanks", () => {
    expect(
      table(
        [
          ["A", "LONG", "C"],
          ["aaa", "b", ""],
          ["", "b", "c c c"],
        ],
        false,
      ),
    ).toBe("A    LONG  C\naaa  b\n     b     c c c\n");
  });

  it("colours a cell without moving its neighbours", () => {
    const rows = [
      [{ text: "x", mood: "bad" as const }, "1"],
      ["long", "2"],
    ];
    expect(table(rows, true)).toBe("\u001B[31mx   \u001B[0m  1\nlong  2\n");
    expect(table(rows, false)).toBe("x     1\nlong  2\n");
  });

  it("of nothing is nothing", () => {
    expect(table([], false)).toBe("");
  });
});

describe("wantsColour", () => {
  it.each([
    [{ isTTY: true }, {}, true],
    [{}, {}, false],
    [{ isTTY: true }, { NO_COLOR: "1" }, false],
    [{ isTTY: true }, { NO_COLOR: "" }, true],
    [{ isTTY: true }, { TERM: "dumb" }, false],
  ])("of %o in %o is %s", (stream, env, expected) => {
    expect(wantsColour(stream, env)).toBe(expected);
  });
});
