import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { engine, logOf } from "./engine.ts";
import type { TestStack } from "./test-stack.ts";

/** What the engine shows to everybody who may ask it: settings, images and how they were made, logs. */
export async function toldByEngine(stack: TestStack): Promise<readonly string[]> {
  const containers = Object.values(await stack.containers());
  const names = containers.map(({ Name }) => Name.slice(1));
  const images = [...new Set(containers.map(({ Image }) => Image))];
  const { networks, volumes } = await stack.holdings();
  const paths = [
    ...names.map((name) => `/containers/${name}/json`),
    ...images.flatMap((image) => [`/images/${image}/json`, `/images/${image}/history`]),
    ...networks.map((name) => `/networks/${name}`),
    ...volumes.map((name) => `/volumes/${name}`),
  ];
  const told = await Promise.all(paths.map(async (path) => JSON.stringify(await engine({ path }))));
  return [...told, ...(await Promise.all(names.map(logOf)))];
}

/** Files of the test with this in them, by their place in the state directory's stacks. */
export function filesThatHold(base: string, isIn: (content: Buffer) => boolean): readonly string[] {
  return filesBelow(base)
    .filter((path) => isIn(contentOf(path)))
    .map((path) => relative(base, path).replace(/^state\/[^/]+\//, ""))
    .sort();
}

/** Without what links lead to: the machine's cache, which no stack writes to. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : [];
  });
}

/** Postgres takes files of its own away at any time. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
