import { describe, it } from "vitest";
import { noDocker } from "./docker.ts";

/** Where services run; end-to-end steps take it as a parameter. */
export type Runtime = "host" | "container";

export const runtimes: readonly Runtime[] = ["host", "container"];

/** The same tests for each case; those in containers are skipped, with the reason, where there can be none. */
export function describeCases<Case extends { readonly runtime: Runtime }>(
  cases: readonly Case[],
  name: string,
  tests: (one: Case) => void,
): void {
  const isPossible = ({ runtime }: Case): boolean => runtime === "host" || noDocker === undefined;
  describe.each(cases.filter(isPossible))(name, tests);
  const others = cases.filter((one) => !isPossible(one));
  if (noDocker !== undefined) describe.skip.each(others)(`${name} (${noDocker})`, tests);
}

/** `it` for what one of the runtimes alone can do: for the other there is no test, and so none to skip. */
export const itWhere = (applies: boolean): ((name: string, test: () => Promise<void>) => void) =>
  applies ? it : () => undefined;
