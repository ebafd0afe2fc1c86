import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StandInName } from "#setup/image-references.ts";
import { baseKey } from "#setup/images/base.ts";
import { npmPin } from "#setup/images/npm.ts";
import { mosquittoKey } from "#setup/mqtt.ts";
import { prometheusKey } from "#setup/prometheus.ts";
import { objectStoreKey, ollamaKey } from "#setup/toolchain/sources.ts";
import { requirements, shortHash } from "#setup/wheels.ts";

/** The directory of an image's Dockerfile. */
export function recipeDir(name: StandInName): string {
  return join(import.meta.dirname, name);
}

/** What is copied into each, by version and hash. */
const pins: Readonly<Record<StandInName, () => string>> = {
  postgres: () => requirements("postgres"),
  redis: () => requirements("redis"),
  nginx: () => requirements("nginx"),
  "llama-server": () => requirements("llama-server"),
  ollama: ollamaKey,
  "object-store": objectStoreKey,
  mqtt: () => mosquittoKey,
  prometheus: () => prometheusKey,
  python: () => "",
  node: () => JSON.stringify(npmPin),
};

/** 12 hex digits that decide the image's content. */
export function contentKey(name: StandInName): string {
  return shortHash(baseKey, readFileSync(join(recipeDir(name), "Dockerfile"), "utf8"), pins[name]());
}

export function standInReference(name: StandInName): string {
  return `engineroom/${name}:${contentKey(name)}`;
}
