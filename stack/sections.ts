import { didYouMean, type Problem } from "./problems.ts";
import { sections } from "./schema.ts";
import type { RawStack } from "./load.ts";

/** Stands for an encrypted value where the file is read without its key. */
export const ENCRYPTED = "(encrypted)";

/** A stack file's `config:`, values parsed. */
export interface StackConfig {
  readonly values: Readonly<Record<string, unknown>>;
  /** Full keys (`engineroom:secrets`) below which something is encrypted. */
  readonly secretKeys: ReadonlySet<string>;
}

const PREFIX = "engineroom:";

/** Our sections of the configuration, and what is wrong with where things stand in it. */
export function sectionsOf({ values, secretKeys }: StackConfig): {
  readonly raw: RawStack;
  readonly problems: readonly Problem[];
} {
  const keys = Object.keys(values).filter((key) => key.startsWith(PREFIX));
  const names = keys.map((key) => key.slice(PREFIX.length));
  return {
    raw: Object.fromEntries(names.map((name) => [name, values[PREFIX + name]])),
    problems: [
      ...names.filter((name) => !(sections as readonly string[]).includes(name)).map(unknownSection),
      ...names
        .filter((name) => name !== "secrets" && secretKeys.has(PREFIX + name))
        .flatMap((name) => secretsInSection(name, values[PREFIX + name])),
      ...plainSecrets(values[`${PREFIX}secrets`], secretKeys.has(`${PREFIX}secrets`)),
    ],
  };
}

function unknownSection(name: string): Problem {
  return {
    code: "STACK_KEY",
    where: PREFIX + name,
    expected: `one of ${sections.join(", ")}`,
    got: `\`${name}\``,
    fix: didYouMean(name, sections) ?? "remove it",
  };
}

/**
 * Repeats nothing of a section that holds an encrypted value: the program gets it decrypted, and cannot tell which
 * value it is.
 */
export function withoutValues(problem: Problem, { secretKeys }: StackConfig): Problem {
  const section = /^[^.]+/.exec(problem.where)?.[0] ?? "";
  if (section === "secrets" || !secretKeys.has(PREFIX + section)) return problem;
  if (problem.code === "SECRET_MISPLACED") return problem;
  return { ...problem, got: "another value (not shown beside an encrypted one)", fix: `correct ${problem.where}` };
}

/** Pulumi hands a nested secret to the program decrypted and unmarked, and it would land plain in the state. */
function secretsInSection(name: string, section: unknown): readonly Problem[] {
  const places = encryptedPlaces(section, name);
  return (places.length > 0 ? places : [PREFIX + name]).map((where) => ({
    code: "SECRET_MISPLACED",
    where,
    expected: "no encrypted value outside of engineroom:secrets",
    got: "an encrypted value",
    fix: `pulumi config set --secret --path ${PREFIX}secrets.NAME, and write \${secret.NAME} here`,
  }));
}

/** None where the values come decrypted. */
function encryptedPlaces(value: unknown, path: string): readonly string[] {
  if (value === ENCRYPTED) return [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => encryptedPlaces(item, `${path}.${key}`));
}

/** @param someEncrypted then the texts may be decrypted ones, unless the file was read without its key. */
function plainSecrets(section: unknown, someEncrypted: boolean): readonly Problem[] {
  if (typeof section !== "object" || section === null || Array.isArray(section)) return [];
  if (someEncrypted && encryptedPlaces(section, "").length === 0) return [];
  return Object.entries(section)
    .filter(([, value]) => typeof value === "string" && value !== ENCRYPTED)
    .map(([name]) => ({
      code: "SECRET_PLAIN",
      where: `secrets.${name}`,
      expected: "an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }",
      got: "a text in clear (not shown)",
      fix: `pulumi config set --secret --path ${PREFIX}secrets.${name}`,
    }));
}
