import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { LABEL } from "#observe/docker.ts";
import { secretsOfFiles } from "#runtime/container-spec.ts";
import type { TestStack } from "../../support/test-stack.ts";
import { opened } from "../stacks.ts";
import { composeFile } from "./file.ts";

/**
 * Writes the compose file of a stack that engineroom plans and never starts, and its containers' files as `up` would.
 *
 * @param ours the same stack by engineroom: their images are its own.
 * @returns the words with which compose is called for it.
 */
export async function composeStack(
  compose: string,
  theirs: TestStack,
  ours: TestStack,
  interval: string,
): Promise<readonly string[]> {
  const { plan, context, containerSpecs } = opened(theirs);
  const { places, services, network } = plan;
  if (!network) throw new Error(`${theirs.name} has no containers`);
  const values = new Map<string, string>();
  for (const { files } of containerSpecs.values()) {
    if (!files) continue;
    const names = secretsOfFiles(files);
    for (const name of names) values.set(name, values.get(name) ?? randomBytes(32).toString("base64url"));
    await execa(
      context.tools.python?.path ?? "python3",
      ["-S", "-E", "-s", "-B", "runtime/apply.py", "files", "start"],
      {
        cwd: theirs.checkout.dir,
        env: { PLAN: JSON.stringify(files) },
        extendEnv: false,
        input: JSON.stringify(Object.fromEntries(names.map((name) => [name, values.get(name)]))),
      },
    );
  }
  const file = join(theirs.checkout.base, `${theirs.name}-${interval}.json`);
  const text = composeFile({
    project: theirs.name,
    network,
    services,
    specs: containerSpecs,
    images: new Map([...opened(ours).containerSpecs].map(([name, { image }]) => [name, image])),
    interval,
    labels: { [LABEL.stack]: places.stack, [LABEL.owner]: places.owner, [LABEL.project]: places.projectDir },
  });
  writeFileSync(file, text);
  return [compose, "--file", file];
}
