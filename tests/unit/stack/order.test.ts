import { expect, it } from "vitest";
import { inOrder } from "#stack/order.ts";

const ordered = (needs: Record<string, readonly string[]>) => inOrder(new Map(Object.entries(needs)));

it("keeps the given order among equals", () =>
  expect(ordered({ c: [], a: [], b: [] })).toEqual({ order: ["c", "a", "b"], cycles: [] }));

it("puts each after what it needs", () =>
  expect(ordered({ edge: ["api"], api: ["db", "broker"], broker: [], db: [] })).toEqual({
    order: ["db", "broker", "api", "edge"],
    cycles: [],
  }));

it("names a cycle by its path", () =>
  expect(ordered({ a: ["b"], b: ["c"], c: ["a"], d: ["a"] }).cycles).toEqual([["a", "b", "c", "a"]]));

it("names a service that needs itself", () => expect(ordered({ a: ["a"] }).cycles).toEqual([["a", "a"]]));

it("names every cycle", () =>
  expect(ordered({ a: ["b"], b: ["a"], c: ["d"], d: ["c"], e: [] })).toEqual({
    order: ["b", "a", "d", "c", "e"],
    cycles: [
      ["a", "b", "a"],
      ["c", "d", "c"],
    ],
  }));

it("leaves out needs that are no names", () =>
  expect(ordered({ a: ["nobody"] })).toEqual({ order: ["a"], cycles: [] }));
