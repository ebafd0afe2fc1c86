import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  commandVersion,
  dockerVersion,
  objectStoreVersion,
  ollamaVersion,
  pulumiVersion,
} from "#setup/toolchain/versions.ts";

const root = import.meta.dirname;

/** Directories of the Go modules, and of the scripts that stand beside the CLI. */
export const cliModule = join(root, "cli");
export const commandModule = join(root, "command");
export const dockerModule = join(root, "docker");
export const ollamaModule = join(root, "ollama");
export const objectStoreModule = join(root, "object-store");
export const dynamicScripts = join(root, "dynamic");

/** 12 hex digits that change whenever another toolchain would be built. */
export function sourcesKey(): string {
  return keyOf(`${pulumiVersion} ${commandVersion}`, [
    "{cli,command}/**/*.go",
    "{cli,command}/go.{mod,sum}",
    "dynamic/*",
  ]);
}

/** The same for the docker plugin, which is built apart. */
export function dockerKey(): string {
  return keyOf(dockerVersion, ["docker/*.go", "docker/go.{mod,sum}"]);
}

/** The same for Ollama, which comes as its makers wrote it; a program for one processor may not run on another. */
export function ollamaKey(): string {
  return keyOf(`${ollamaVersion} ${processorLevel()}`, ["ollama/*", "headers.ts"]);
}

const v3 = ["avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"];

/** What this machine's processor can do, as compilers call it: a model runs several times as fast with `v3`. */
export function processorLevel(): "x86-64" | "x86-64-v3" {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.trim().split(" ") ?? [];
  return v3.every((flag) => flags.includes(flag)) ? "x86-64-v3" : "x86-64";
}

/** The same for versitygw. */
export function objectStoreKey(): string {
  return keyOf(objectStoreVersion, ["object-store/*"]);
}

function keyOf(versions: string, patterns: readonly string[]): string {
  const hash = createHash("sha256").update(`${versions}\n`);
  const files = globSync(patterns, { cwd: root }).filter((file) => !file.endsWith("_test.go"));
  for (const file of files.sort()) {
    const content = readFileSync(join(root, file));
    hash.update(`${file} ${content.byteLength}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 12);
}
