import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { nearest, type Problem } from "./problems.ts";
import { ENCRYPTED, type StackConfig } from "./sections.ts";

export type StackFile =
  { readonly config: StackConfig; readonly salt: boolean } | { readonly problems: readonly Problem[] };

export const stackFileName = (stack: string): string => `Pulumi.${stack}.yaml`;

/** Reads a stack file as Pulumi would, with `(encrypted)` in place of each encrypted value. */
export function readStackFile(projectDir: string, stack: string): StackFile {
  const name = stackFileName(stack);
  let text: string;
  try {
    text = readFileSync(join(projectDir, name), "utf8");
  } catch (error) {
    return { problems: [unreadable(projectDir, name, error as NodeJS.ErrnoException)] };
  }
  // Merge keys (`<<: *defaults`) count for Pulumi too.
  const document = parseDocument(text, { merge: true });
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => notYaml(name, (error.message.split("\n")[0] ?? "").replace(/:$/, ""))),
    };
  }
  let content: unknown;
  try {
    content = document.toJS();
    // Anchors can make a circle, which no plan can hold.
    JSON.stringify(content);
  } catch (error) {
    return { problems: [notYaml(name, error instanceof TypeError ? "it refers to itself" : (error as Error).message)] };
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    return { problems: [notYaml(name, "no keys at its top")] };
  }
  const { config = {}, encryptionsalt } = content as { config?: unknown; encryptionsalt?: unknown };
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    return { problems: [notYaml(name, "a `config` without keys")] };
  }
  const secretKeys = new Set<string>();
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, withoutCiphers(value, () => secretKeys.add(key))]),
  );
  return { config: { values, secretKeys }, salt: encryptionsalt !== undefined };
}

function withoutCiphers(value: unknown, found: () => void): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutCiphers(item, found));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "secure") {
    found();
    return ENCRYPTED;
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutCiphers(item, found)]));
}

/** Names of the stacks that have a file here. */
export const stackNames = (projectDir: string): readonly string[] =>
  readdirSync(projectDir).flatMap((name) => /^Pulumi\.([^.]+)\.yaml$/.exec(name)?.[1] ?? []);

function unreadable(projectDir: string, name: string, error: NodeJS.ErrnoException): Problem {
  const stacks = stackNames(projectDir);
  const similar = nearest(name.slice("Pulumi.".length, -".yaml".length), stacks);
  return {
    code: "STACK_FILE",
    where: name,
    expected: `the file of a stack (${stacks.join(", ")})`,
    got: error.code === "ENOENT" ? "no such file" : error.message,
    fix: similar ? `did you mean --stack ${similar}?` : "name one of these with --stack, or write the file",
  };
}

const notYaml = (name: string, got: string): Problem => ({
  code: "STACK_YAML",
  where: name,
  expected: "YAML with `config:` and its sections",
  got,
  fix: "correct the place named; Pulumi.local.yaml shows the form",
});
