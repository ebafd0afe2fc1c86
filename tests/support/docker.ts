import { describe } from "vitest";

const reason = process.env["ENGINEROOM_TEST_NO_DOCKER"];

/** Tests that need a container engine: skipped where `./engineroom test` found that there can be none. */
export const describeWithDocker = (name: string, tests: () => void): void => {
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (${reason})`, tests);
};
