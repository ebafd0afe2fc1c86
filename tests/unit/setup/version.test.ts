import { describe, expect, it } from "vitest";
import { atLeast } from "#setup/version.ts";

describe("atLeast", () => {
  it.each([
    ["3.10", "3.10", true],
    ["3.9.18", "3.10", false],
    ["3.11.2", "3.10", true],
    ["15.18", "15", true],
    ["9.6", "15", false],
    ["7.2.0", "7.2", true],
    ["18", "18.0", true],
    ["1.27rc1", "1.26", true],
  ])("%s >= %s is %s", (version, minimum, expected) => {
    expect(atLeast(version, minimum)).toBe(expected);
  });
});
