import { describe } from "vitest";

/** Why there can be no container engine here, as `./engineroom test` found; undefined where there is one. */
export const noDocker = process.env["ENGINEROOM_TEST_NO_DOCKER"];

/**
 * Tests that need a container engine: skipped where there can be none.
 *
 * @param lacks what else they need and cannot have here.
 */
export const describeWithDocker = (name: string, tests: () => void, lacks?: string): void => {
  const why = noDocker ?? lacks;
  if (why === undefined) describe(name, tests);
  else describe.skip(`${name} (${why})`, tests);
};
