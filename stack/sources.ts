import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { readEnv, type EnvFile } from "./env-file.ts";
import type { LoadContext, RawStack, SourceContent } from "./load.ts";

/** What is made from the source, and is no part of it; runtime/build.py leaves out the same. */
const IGNORED: ReadonlySet<string> = new Set([
  ".git",
  "node_modules",
  ".venv",
  "venv",
  "dist",
  "__pycache__",
  ".pytest_cache",
]);

/** Looks at every `build` directory that the services name. */
export function readSources(raw: RawStack, projectDir: string): LoadContext["sources"] {
  const services = Object.values((raw.services ?? {}) as Record<string, { build?: unknown } | null>);
  const directories = services.flatMap((service) => (typeof service?.build === "string" ? [service.build] : []));
  return new Map([...new Set(directories)].map((directory) => [directory, readSource(directory, projectDir)]));
}

/** Looks at every `envFile` that the services name. */
export function readEnvFiles(raw: RawStack, projectDir: string): LoadContext["envFiles"] {
  const services = Object.values((raw.services ?? {}) as Record<string, { envFile?: unknown } | null>);
  const files = services.flatMap((service) => (typeof service?.envFile === "string" ? [service.envFile] : []));
  return new Map([...new Set(files)].map((file) => [file, readEnvFile(resolve(projectDir, file))]));
}

function readEnvFile(path: string): EnvFile {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return { wrong: "there is no such file" };
  try {
    return readEnv(readFileSync(path, "utf8"));
  } catch (error) {
    return { wrong: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? ""})` };
  }
}

function readSource(directory: string, projectDir: string): SourceContent | string {
  const path = isAbsolute(directory) ? directory : join(projectDir, directory);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return "there is no such directory";
  const has = (name: string): boolean => existsSync(join(path, name));
  const dockerfile = has("Dockerfile");
  const made = has("requirements.txt") || has("pyproject.toml") ? "python" : has("package.json") ? "node" : undefined;
  const kind = made ?? (dockerfile ? "dockerfile" : undefined);
  if (!kind) return "it has none of these files";
  const requirements = join(path, "requirements.txt");
  return {
    path: realpathSync(path),
    kind,
    dockerfile,
    hash: hashTree(path),
    ...(existsSync(requirements) && { requirements: sha256(readFileSync(requirements)) }),
  };
}

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

function hashTree(root: string): string {
  const hash = createHash("sha256");
  for (const path of filesBelow(root)) {
    hash.update(`${relative(root, path.name)}\0${path.link ?? ""}\0`);
    if (path.link === undefined) hash.update(readFileSync(path.name));
    hash.update("\0");
  }
  return hash.digest("hex");
}

function filesBelow(directory: string): readonly { readonly name: string; readonly link?: string }[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => !IGNORED.has(entry.name) && !entry.name.endsWith(".pyc"))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const name = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(name);
      if (entry.isSymbolicLink()) return [{ name, link: readlinkSync(name) }];
      return entry.isFile() ? [{ name }] : [];
    });
}
