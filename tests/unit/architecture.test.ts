import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { z } from "zod";
import { catalog } from "#components/catalog.ts";
import { modelSettings, stackSettings } from "#stack/schema.ts";

const root = dirname(dirname(import.meta.dirname));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** Files that git knows, or would take. */
const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\0")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const catalogSettings = Object.fromEntries(Object.entries(catalog).map(([kind, { settings }]) => [kind, settings]));
const isSource = (file: string): boolean => file.endsWith(".ts") && !/^(tests|examples|node_modules)\//.test(file);
const sources = tracked.filter(isSource);

/** What a file loads when it is loaded; types go away, and `import()` only happens when it is reached. */
function importsOf(file: string): readonly string[] {
  const found = read(file).matchAll(/^(?:import|export)\s+(?!type\b)(?:([^"';]*?)\s+from\s+)?"([^"]+)"/gm);
  return [...found].flatMap(([, names, target = ""]) => (onlyTypes(names) ? [] : [resolve(target, file)]));
}

/** `{ type A, type B }`, which leaves nothing to load. */
const onlyTypes = (names: string | undefined): boolean =>
  names !== undefined && /^\{[^}]*\}$/.test(names) && /^\{(\s*type\s+\w+(\s+as\s+\w+)?\s*,?)+\s*\}$/.test(names);

function resolve(target: string, from: string): string {
  if (target.startsWith("#")) return target.slice(1);
  return target.startsWith(".") ? normalize(join(dirname(from), target)) : target;
}

/** Every path from a file to a package that begins with `prefix`, through our own files. */
function pathTo(file: string, prefix: string, path: readonly string[] = []): readonly string[] | undefined {
  for (const target of importsOf(file)) {
    if (target.startsWith(prefix)) return [...path, file, target];
    if (!isSource(target) || path.includes(target)) continue;
    const found = pathTo(target, prefix, [...path, file]);
    if (found) return found;
  }
  return undefined;
}

const loading = (files: readonly string[], prefix: string) =>
  files.flatMap((file) => {
    const path = pathTo(file, prefix);
    return path ? [path.join(" → ")] : [];
  });

describe("Pulumi is loaded by the program alone:", () => {
  it.each<[string, (file: string) => boolean]>([
    ["stack/", (file) => file.startsWith("stack/")],
    ["every plan and its settings", (file) => /^components\/[^/]+\/(plan|settings)\.ts$/.test(file)],
    ["checks/", (file) => file.startsWith("checks/")],
    ["observe/, so that status is fast", (file) => file.startsWith("observe/")],
    ["operations/", (file) => file.startsWith("operations/")],
    ["the command line", (file) => file.startsWith("cli/")],
  ])("%s", (_what, isMeant) => {
    const files = sources.filter(isMeant);
    expect(files.length).toBeGreaterThan(0);
    expect(loading(files, "@pulumi/")).toEqual([]);
  });
});

it("and the program does load it, so that the walk through the imports is known to find it", () =>
  expect(loading(["index.ts", "runtime/program.ts", "runtime/config.ts"], "@pulumi/")).toHaveLength(3));

describe("a provider", () => {
  const providers = ["ready", "model-file", "ollama-model", "generated-secret"].map((name) => `providers/${name}.ts`);
  it("starts without zod", () => expect(loading(providers, "zod")).toEqual([]));
  it("loads no Pulumi at its start: the process that it runs in has it", () =>
    expect(loading(providers, "@pulumi/")).toEqual([]));
  it("keeps the name that the state of older stacks imports", () =>
    expect(providers.filter((file) => !tracked.includes(file))).toEqual([]));
});

it("the program is short", () => expect(read("index.ts").trimEnd().split("\n").length).toBeLessThanOrEqual(80));

describe("a kind", () => {
  const kinds = tracked.flatMap((file) => /^components\/([^/]+)\/plan\.ts$/.exec(file)?.[1] ?? []);
  it.each(kinds)("%s has settings, a plan, a line in the catalog and a test", (kind) => {
    expect(tracked).toContain(`components/${kind}/settings.ts`);
    expect(read("components/catalog.ts")).toContain(`"./${kind}/plan.ts"`);
    expect(tracked).toContain(`tests/unit/components/${kind}.test.ts`);
  });
});

describe("what git keeps", () => {
  // These are here; a developer's own are ignored or not committed.
  const shipped = execFileSync("git", ["ls-files", "-z", "Pulumi.*.yaml"], { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter(Boolean);
  // In the working tree Pulumi writes a salt at the first `up`; what is to be committed must have none.
  it.each(shipped)("%s carries no salt and nothing encrypted", (file) => {
    const kept = execFileSync("git", ["show", `:${file}`], { cwd: root, encoding: "utf8" });
    expect(Object.keys(parse(kept) as object)).not.toContain("encryptionsalt");
    expect(kept).not.toMatch(/\bsecure:/);
  });

  const texts = tracked.filter(
    (file) => /\.(ts|py|go|sh|md|ya?ml|json|toml|txt|in)$/.test(file) || file === "engineroom",
  );
  const linesWith = (pattern: RegExp, files = texts) =>
    files.flatMap((file) =>
      read(file)
        .split("\n")
        .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
    );

  it("names no registry: their usual clients know where they are", () => {
    // Lock files hold the addresses that their clients wrote.
    const files = texts.filter((file) => !/(package-lock\.json|go\.sum)$/.test(file) && file !== OWN);
    expect(
      linesWith(/pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org|sum\.golang\.org/, files),
    ).toEqual([]);
  });

  it("has no path of somebody's machine", () =>
    expect(
      linesWith(
        /(?:^|[\s"'`=(:])\/(?:work|root|home\/(?!me\b)[a-z]+)\/\w/,
        texts.filter((file) => file !== OWN),
      ),
    ).toEqual([]));

  it("leaves out of a build what build.py leaves out, so that a hash means what is built", () => {
    const ignored = (file: string, pattern: RegExp) => (pattern.exec(read(file))?.[1] ?? "").match(/"[^"]+"/g)?.sort();
    const python = ignored("runtime/build.py", /ignore_patterns\(([^)]*)\)/)?.filter((name) => name !== '"*.pyc"');
    expect(ignored("stack/sources.ts", /IGNORED[^[]*\[([^\]]*)\]/)).toEqual(python);
  });
});

/** This file names what must not be named. */
const OWN = "tests/unit/architecture.test.ts";

describe("docs/stack-file.md", () => {
  const keysOf = (schema: z.ZodType): readonly string[] => Object.keys((schema as unknown as { shape: object }).shape);
  const schemas = { settings: stackSettings, models: modelSettings, ...catalogSettings };
  it.each(Object.entries(schemas))("names every key of %s", (_name, schema) => {
    const text = read("docs/stack-file.md");
    expect(keysOf(schema).filter((key) => !text.includes(`\`${key}\``) && !text.includes(`\`${key}:`))).toEqual([]);
  });
});

describe("docs/errors.md", () => {
  /** How a connection ended, and what the kernel says: no codes of ours. */
  const ofTheSystem = new Set(["TIMEOUT", "UNKNOWN", ...Object.keys(constants.errno)]);
  const CODE = "[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*";
  const used = new Set(
    sources.flatMap((file) => {
      const text = read(file);
      const statements = text.matchAll(
        new RegExp(`\\b(?:code:[^,;}]*?|UserError\\(\\s*)"(${CODE})"(?:\\s*:\\s*"(${CODE})")?`, "g"),
      );
      return [...statements].flatMap(([, code = "", other = ""]) =>
        [code, other].filter((name) => name !== "" && !ofTheSystem.has(name)),
      );
    }),
  );
  const listed = [...read("docs/errors.md").matchAll(new RegExp(`^\\| \`(${CODE})\` \\|`, "gm"))].map(
    ([, code = ""]) => code,
  );

  it("lists every code that there is", () =>
    expect([...used].filter((code) => !listed.includes(code)).sort()).toEqual([]));
  it("lists none that there is not", () => expect(listed.filter((code) => !used.has(code))).toEqual([]));
  it("lists each once", () => expect(listed.length).toBe(new Set(listed).size));
});
