import type { Sections } from "./test-stack.ts";

type Tree = Record<string, unknown>;

/** A copy of a stack with another value at a path; a function gets the value that stands there. */
export function changed(stack: Sections, path: readonly string[], value: unknown): Sections {
  const copy = structuredClone(stack);
  const last = path.at(-1) ?? "";
  const parent = path.slice(0, -1).reduce<Tree>((at, key) => at[key] as Tree, copy as unknown as Tree);
  parent[last] = typeof value === "function" ? (value as (old: unknown) => unknown)(parent[last]) : value;
  return copy;
}
