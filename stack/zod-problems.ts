import type { z } from "zod";
import { nearest, type Problem } from "./problems.ts";

type Issue = z.core.$ZodIssue;

/** A schema's complaints in our own form: path, expected, got, fix. */
export function zodProblems(error: z.ZodError, value: unknown, where: string): readonly Problem[] {
  return error.issues.flatMap((issue) => issueProblems(issue, value, where));
}

function issueProblems(issue: Issue, root: unknown, where: string): readonly Problem[] {
  const path = [where, ...issue.path.map(String)].join(".");
  const value = at(root, issue.path);
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(key, issue, path));
  if (path.endsWith(".password") || where.startsWith("secrets.")) return [secretShape(path, value)];
  return [{ code: "STACK_VALUE", where: path, expected: expected(issue), got: got(value), fix: `correct ${path}` }];
}

function unknownKey(key: string, issue: Issue & { code: "unrecognized_keys" }, path: string): Problem {
  const known = knownKeys(issue);
  const similar = nearest(key, known);
  return {
    code: "STACK_KEY",
    where: `${path}.${key}`,
    expected: known.length > 0 ? `one of ${known.join(", ")}` : "no such key",
    got: `\`${key}\``,
    fix: similar ? `did you mean \`${similar}\`?` : "remove it",
  };
}

/** The shape that refused the key, where zod hands it on. */
function knownKeys(issue: Issue): readonly string[] {
  const shape = (issue as { inst?: { def?: { shape?: object } } }).inst?.def?.shape;
  return shape ? Object.keys(shape) : [];
}

/** A value that may be a secret is never repeated. */
function secretShape(path: string, value: unknown): Problem {
  return {
    code: "SECRET_MISPLACED",
    where: path,
    expected: path.endsWith(".password")
      ? "`${secret.NAME}`, the name of a secret"
      : "an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }",
    got: typeof value === "string" ? "(a text, not shown)" : `a ${value === null ? "null" : typeof value}`,
    fix: path.endsWith(".password")
      ? "pulumi config set --secret --path engineroom:secrets.NAME, then refer to it"
      : `pulumi config set --secret --path engineroom:${path}`,
  };
}

function expected(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : `a ${issue.expected}`;
    case "too_small":
      return `at least ${issue.minimum}${issue.origin === "array" ? " item" : ""}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_value":
      return `one of ${issue.values.map((value) => String(value)).join(", ")}`;
    case "invalid_format":
      return issue.format === "regex" ? `a text like ${issue.pattern ?? "the pattern"}` : issue.message;
    case "custom":
      return String((issue.params as { expected?: string } | undefined)?.expected ?? issue.message);
    case "invalid_union":
    case "not_multiple_of":
    case "invalid_key":
    case "invalid_element":
    case "unrecognized_keys":
      return issue.message;
  }
}

function got(value: unknown): string {
  if (value === undefined) return "nothing";
  return `\`${JSON.stringify(value)}\``;
}

function at(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}
