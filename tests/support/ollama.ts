import { describe } from "vitest";

/** Why there can be no Ollama here, as `./engineroom test` found; undefined where there is one. */
export const noOllama = process.env["ENGINEROOM_TEST_NO_OLLAMA"];

/** Tests that need Ollama: skipped where there can be none. */
export const describeWithOllama = (name: string, tests: () => void): void => {
  if (noOllama === undefined) describe(name, tests);
  else describe.skip(`${name} (${noOllama})`, tests);
};
