import { nearest, type Problem } from "./problems.ts";
import { sections } from "./schema.ts";
import type { RawStack } from "./load.ts";

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
      ...names.filter((name) => name !== "secrets" && secretKeys.has(PREFIX + name)).map(secretInSection),
      ...(secretKeys.has(`${PREFIX}secrets`) ? [] : plainSecrets(values[`${PREFIX}secrets`])),
    ],
  };
}

function unknownSection(name: string): Problem {
  const similar = nearest(name, sections);
  return {
    code: "STACK_KEY",
    where: PREFIX + name,
    expected: `one of ${sections.join(", ")}`,
    got: `\`${name}\``,
    fix: similar ? `did you mean \`${PREFIX}${similar}\`?` : "remove it",
  };
}

/** Pulumi hands a nested secret to the program decrypted and unmarked, and it would land plain in the state. */
function secretInSection(name: string): Problem {
  return {
    code: "SECRET_MISPLACED",
    where: PREFIX + name,
    expected: "no encrypted value in this section",
    got: "an encrypted value",
    fix: `pulumi config set --secret --path ${PREFIX}secrets.NAME, refer to it as \${secret.NAME}, and remove it here`,
  };
}

function plainSecrets(section: unknown): readonly Problem[] {
  if (typeof section !== "object" || section === null) return [];
  return Object.entries(section)
    .filter(([, value]) => typeof value === "string")
    .map(([name]) => ({
      code: "SECRET_PLAIN",
      where: `secrets.${name}`,
      expected: "an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }",
      got: "a text in clear (not shown)",
      fix: `pulumi config set --secret --path ${PREFIX}secrets.${name}`,
    }));
}
