import { didYouMean } from "./problems.ts";
import { hole, type SecretHole, type Text } from "./text.ts";

/** One `${owner.key}` or `${owner.key?}` in a text. */
export interface Reference {
  readonly owner: string;
  readonly key: string;
  readonly optional: boolean;
}

/** What is written between references: `$${` stands for a literal `${`. */
type Piece = string | Reference | { readonly malformed: string };

const REFERENCE = /\$\$\{[^}$]*\}?|\$\{([^}]*)\}?/g;
const INSIDE = /^([A-Za-z][A-Za-z0-9-]*)\.([A-Za-z][A-Za-z0-9]*)(\?)?$/;

export function piecesOf(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(REFERENCE)) {
    if (match.index > end) pieces.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[0].startsWith("$$")) {
      pieces.push(match[0].slice(1));
      continue;
    }
    const [, owner, key, optional] = match[0].endsWith("}") ? (INSIDE.exec(match[1] ?? "") ?? []) : [];
    pieces.push(owner && key ? { owner, key, optional: optional === "?" } : { malformed: match[0] });
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}

/** What each owner offers; an owner that is switched off offers nothing. */
export interface Scope {
  readonly self: string;
  readonly outputs: ReadonlyMap<string, Readonly<Record<string, Text>>>;
  readonly disabled: ReadonlySet<string>;
  /** Owners with a problem of their own: where their outputs are not known, nothing is said about references to them. */
  readonly broken: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
}

export interface Resolved {
  readonly text: Text;
  /** Services referred to, without `self`. */
  readonly uses: readonly string[];
  readonly problems: readonly ReferenceProblem[];
}

export interface ReferenceProblem {
  readonly code: "REFERENCE_MALFORMED" | "REFERENCE_UNKNOWN" | "REFERENCE_DISABLED" | "SECRET_UNKNOWN";
  readonly expected: string;
  readonly got: string;
  readonly fix: string;
}

export function resolve(text: string, scope: Scope): Resolved {
  const parts: (string | SecretHole)[] = [];
  const uses = new Set<string>();
  const problems: ReferenceProblem[] = [];
  for (const piece of piecesOf(text)) {
    if (typeof piece === "string") {
      parts.push(piece);
    } else if ("malformed" in piece) {
      problems.push({
        code: "REFERENCE_MALFORMED",
        expected: "`${service.output}`",
        got: `\`${piece.malformed}\``,
        fix: "write `${name.url}`, or `$${` for a literal `${`",
      });
    } else if (piece.owner === "secret") {
      if (scope.secrets.has(piece.key)) parts.push(hole(`secret.${piece.key}`));
      else problems.push(unknownSecret(piece, scope));
    } else {
      const found = lookUp(piece, scope);
      if ("problem" in found) problems.push(found.problem);
      else parts.push(...found.text);
      if (piece.owner !== "self" && "text" in found && found.exists) uses.add(piece.owner);
    }
  }
  return { text: joinStrings(parts), uses: [...uses], problems };
}

function unknownSecret(piece: Reference, scope: Scope): ReferenceProblem {
  return {
    code: "SECRET_UNKNOWN",
    expected: `a secret of engineroom:secrets (${[...scope.secrets].join(", ") || "none is declared"})`,
    got: `\`${piece.key}\``,
    fix:
      didYouMean(piece.key, [...scope.secrets]) ?? `pulumi config set --secret --path engineroom:secrets.${piece.key}`,
  };
}

type Found = { readonly text: Text; readonly exists: boolean } | { readonly problem: ReferenceProblem };

function lookUp(piece: Reference, scope: Scope): Found {
  const owner = piece.owner === "self" ? scope.self : piece.owner;
  const outputs = scope.outputs.get(owner);
  if (!outputs) {
    if (scope.broken.has(owner)) return { text: [], exists: true };
    if (piece.optional && scope.disabled.has(owner)) return { text: [], exists: false };
    return { problem: absent(owner, `\${${owner}.${piece.key}?}`, scope) };
  }
  const text = Object.hasOwn(outputs, piece.key) ? outputs[piece.key] : undefined;
  if (text) return { text, exists: true };
  const keys = Object.keys(outputs);
  return {
    problem: {
      code: "REFERENCE_UNKNOWN",
      expected: keys.length > 0 ? `one of ${keys.join(", ")} of \`${owner}\`` : `a service that offers something`,
      got: `\`${piece.key}\``,
      fix: didYouMean(piece.key, keys) ?? `correct the key in \`\${${piece.owner}.${piece.key}}\``,
    },
  };
}

/** @param optional how to refer to it where it may be switched off. */
export function absent(owner: string, optional: string, scope: Scope): ReferenceProblem {
  if (scope.disabled.has(owner)) {
    return {
      code: "REFERENCE_DISABLED",
      expected: "an enabled service",
      got: `\`${owner}\`, which has \`enabled: false\``,
      fix: `set services.${owner}.enabled to true, or write \`${optional}\``,
    };
  }
  // Sorted: Pulumi hands the services over in another order than the file has.
  const others = [...scope.outputs.keys(), ...scope.disabled].filter((name) => name !== scope.self).sort();
  return {
    code: "REFERENCE_UNKNOWN",
    expected: `another service of this stack (${others.join(", ") || "there is none"})`,
    got: `\`${owner}\``,
    fix: didYouMean(owner, others) ?? "correct the name",
  };
}

function joinStrings(parts: Text): Text {
  const joined: (string | SecretHole)[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (typeof part === "string" && typeof last === "string") joined[joined.length - 1] = last + part;
    else joined.push(part);
  }
  return joined;
}
