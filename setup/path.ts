import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Every executable file of these names: on PATH first, then in `moreDirs`; real paths, each once. */
export function executables(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
  moreDirs: readonly string[] = [],
): readonly string[] {
  const dirs = [...(env["PATH"] ?? "").split(":").filter(isAbsolute), ...moreDirs];
  const found = dirs.flatMap((dir) => names.map((name) => join(dir, name))).filter(isExecutable);
  return [...new Set(found.map((file) => realpathSync(file)))];
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
