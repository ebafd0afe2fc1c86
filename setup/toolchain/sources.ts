import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commandVersion, pulumiVersion } from "#setup/toolchain/versions.ts";

const root = import.meta.dirname;

/** Directories of the Go modules, and of the scripts that stand beside the CLI. */
export const cliModule = join(root, "cli");
export const commandModule = join(root, "command");
export const dynamicScripts = join(root, "dynamic");

/** 12 hex digits that change whenever another toolchain would be built. */
export function sourcesKey(): string {
  const hash = createHash("sha256").update(`${pulumiVersion} ${commandVersion}\n`);
  for (const file of sourceFiles()) {
    const content = readFileSync(join(root, file));
    hash.update(`${file} ${content.byteLength}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 12);
}

function sourceFiles(): readonly string[] {
  const all = globSync(["{cli,command}/**/*.go", "{cli,command}/go.{mod,sum}", "dynamic/*"], { cwd: root });
  return all.filter((file) => !file.endsWith("_test.go")).sort();
}
