import { openStack, type Opened } from "#observe/world.ts";
import { readStackFile } from "#stack/file.ts";
import type { Sections, TestStack } from "../support/test-stack.ts";

/** As many programs that do nothing, each independent of the others. */
export const sleepers = (count: number): Sections => ({
  settings: { in: "host" },
  services: Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `sleep-${index + 1}`,
      { kind: "process", command: ["sleep", "1000000"] },
    ]),
  ),
});

/** The stack's plan on this host, as `up` makes it. */
export function opened({ name, checkout }: TestStack): Opened {
  const file = readStackFile(checkout.dir, name);
  if ("problems" in file) throw new Error(JSON.stringify(file.problems));
  const found = openStack({ config: file.config, stack: name, projectDir: checkout.dir, env: checkout.env });
  if ("problems" in found) throw new Error(JSON.stringify(found.problems));
  return found;
}
