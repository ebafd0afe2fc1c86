import { expect, it } from "vitest";
import { parseDuration, parseSize } from "#stack/units.ts";

it.each([
  ["500ms", 500],
  ["90s", 90_000],
  ["1.5s", 1500],
  ["10 m", 600_000],
  ["1h", 3_600_000],
  ["0s", 0],
])("%s is %d milliseconds", (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));

it.each([
  ["1B", 1],
  ["2KB", 2000],
  ["512MB", 512e6],
  ["2GB", 2e9],
  ["1KiB", 1024],
  ["1.5MiB", 1_572_864],
  ["2 GiB", 2 ** 31],
])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

it.each(["", "90", "s", "-1s", "1e3s", "1 day", "90S", "1s2", "1toString", "1constructor", " 1s"])(
  "%j is neither a time nor a size",
  (text) => expect([parseDuration(text), parseSize(text)]).toEqual([undefined, undefined]),
);
