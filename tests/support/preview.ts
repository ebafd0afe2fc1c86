import { expect } from "vitest";
import type { Ended } from "./test-stack.ts";

interface Step {
  readonly op: string;
  readonly urn: string;
}

/**
 * Resources that would not stay as they are, by what `pulumi preview --json` prints; components have nothing to change.
 */
export function changedResources({ stdout, output }: Ended): readonly string[] {
  expect(stdout, output).toMatch(/^\{/);
  const { steps = [] } = JSON.parse(stdout) as { readonly steps?: readonly Step[] };
  const different = steps.filter(({ op, urn }) => op !== "same" && !/::engineroom:service:\w+::/.test(urn));
  return [...new Set(different.map(({ urn }) => urn.split("::").at(-1) ?? ""))].sort();
}
