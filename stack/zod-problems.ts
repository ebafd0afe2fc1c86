import type { z } from "zod";
import { didYouMean, shown, type Problem } from "./problems.ts";

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;
type Path = readonly PropertyKey[];

/** A schema's complaints in our own form: path, expected, got, fix. */
export function zodProblems(
  schema: Schema,
  error: z.core.$ZodError,
  value: unknown,
  where: string,
): readonly Problem[] {
  return error.issues.flatMap((issue) => issueProblems(issue, schema, value, where));
}

function issueProblems(issue: Issue, schema: Schema, root: unknown, where: string): readonly Problem[] {
  const path = [where, ...issue.path.map(String)].join(".");
  const value = valueAt(root, issue.path);
  if (issue.code === "unrecognized_keys") {
    const known = keysOf(schemaAt(schema, issue.path));
    return issue.keys.map((key) => unknownKey(key, known, path));
  }
  const meant = issue.code === "invalid_union" ? memberMeant(issue, schemaAt(schema, issue.path), value) : undefined;
  if (meant) return meant.issues.flatMap((inner) => issueProblems(inner, meant.schema, value, path));
  const isSecret = where.startsWith("secrets.");
  if (NAMES_SECRET.test(path) || (isSecret && issue.code === "invalid_union")) return [secretShape(path, value)];
  return [
    {
      code: "STACK_VALUE",
      where: path,
      expected: expected(issue),
      got:
        issue.code === "invalid_key"
          ? `\`${String(issue.path.at(-1))}\``
          : shown(value, isSecret || isPrivate(issue.path)),
      fix: fix(issue, value, path),
    },
  ];
}

/** What stands in an environment may be a secret that its owner has not moved yet. */
const isPrivate = (path: Path): boolean => ["env", "files", "token", "url"].some((key) => path.includes(key));

function unknownKey(key: string, known: readonly string[], path: string): Problem {
  return {
    code: "STACK_KEY",
    where: `${path}.${key}`,
    expected: `one of ${known.join(", ")}`,
    got: `\`${key}\``,
    fix: didYouMean(key, known) ?? "remove it",
  };
}

/** The member of a union of maps that the value was meant for: the one whose own key it has. */
function memberMeant(issue: Issue & { code: "invalid_union" }, union: Schema | undefined, value: unknown) {
  if (typeof value !== "object" || value === null || union === undefined) return undefined;
  const members = membersOf(union);
  const index = members.findIndex((member) => {
    const [own] = keysOf(member);
    return own !== undefined && own in value;
  });
  const schema = members[index];
  const issues = issue.errors[index];
  return schema && issues && { schema, issues };
}

/** Settings that are the name of a secret. */
const NAMES_SECRET = /\.(password|secretKey)$/;

/** A value that may be a secret is never repeated. */
function secretShape(path: string, value: unknown): Problem {
  const got = shown(value, true);
  return NAMES_SECRET.test(path)
    ? {
        code: "SECRET_MISPLACED",
        where: path,
        expected: "`${secret.NAME}`, which names a secret of engineroom:secrets",
        got,
        fix: `pulumi config set --secret --path engineroom:secrets.NAME, then write ${path}: \${secret.NAME}`,
      }
    : {
        code: "SECRET_SHAPE",
        where: path,
        expected: "an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }",
        got,
        fix: `pulumi config set --secret --path engineroom:${path}`,
      };
}

/** The schema's own words, where it has any; zod's begin like these. */
const ZODS_OWN = /^(Invalid|Too|Unrecognized)/;

const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a whole number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "a map of keys and values",
  record: "a map of keys and values",
};

function expected(issue: Issue): string {
  if (!ZODS_OWN.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? issue.expected;
    case "too_small":
      return `at least ${issue.minimum}${issue.origin === "array" ? " item" : ""}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_value":
      return `one of ${issue.values.map((value) => String(value)).join(", ")}`;
    case "invalid_key":
      return issue.issues[0] ? expected(issue.issues[0]) : issue.message;
    case "custom":
    case "invalid_format":
    case "invalid_union":
    case "not_multiple_of":
    case "invalid_element":
    case "unrecognized_keys":
      return issue.message;
  }
}

function fix(issue: Issue, value: unknown, path: string): string {
  if (value === undefined) return `add ${path}`;
  if (issue.code === "invalid_value" && typeof value === "string") {
    return didYouMean(value, issue.values.map(String)) ?? "choose one of the list";
  }
  if (issue.code === "invalid_type" && typeof value === "string") {
    if (["int", "number"].includes(issue.expected) && value.trim() !== "" && Number.isFinite(Number(value))) {
      return `write it without quotes: ${Number(value)}`;
    }
    if (issue.expected === "array") return "write it as a list: [ … ]";
  }
  const wantsText = issue.code === "invalid_type" && issue.expected === "string" && ZODS_OWN.test(issue.message);
  if (wantsText && typeof value !== "object") return "write it in quotes";
  if (value === null) return "give it a value, or remove the key";
  return `correct ${path}`;
}

// Walks through a schema. zod's issues do not say which part of it complained. ----------------------------------------

interface Def {
  readonly type: string;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly valueType?: Schema;
  readonly element?: Schema;
  readonly options?: readonly Schema[];
}

/** Without what is wrapped around it: defaults, optionals, transforms. */
function bare(schema: Schema): Def {
  const def = schema._zod.def as unknown as Def;
  const inner = def.innerType ?? def.in;
  return inner ? bare(inner) : def;
}

function schemaAt(schema: Schema, path: Path): Schema | undefined {
  return path.reduce<Schema | undefined>((at, key) => at && childOf(at, key), schema);
}

/** Of a union, that of the member which has one. */
function childOf(schema: Schema, key: PropertyKey): Schema | undefined {
  const { shape, valueType, element, options = [] } = bare(schema);
  if (shape) return shape[String(key)];
  return valueType ?? element ?? options.map((option) => childOf(option, key)).find((child) => child !== undefined);
}

/** Of a union, those of all its members. */
export function keysOf(schema: Schema | undefined): readonly string[] {
  const { shape, options = [] }: Partial<Def> = schema ? bare(schema) : {};
  return shape ? Object.keys(shape) : options.flatMap(keysOf);
}

const membersOf = (union: Schema): readonly Schema[] => bare(union).options ?? [];

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}
