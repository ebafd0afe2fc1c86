import { parseEnv } from "node:util";

/** What a file of variables holds, or what is wrong with it. */
export type EnvFile =
  { readonly variables: Readonly<Record<string, string>> } | { readonly wrong: string; readonly line?: number };

/** A variable as dotenv has it, over several lines where its quotes are; or a comment, or nothing. */
const PART =
  /(?:^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*(?:'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|(?!['"`])[^\n]*)[ \t]*(?:#.*)?$)|(?:^[ \t]*(?:#.*)?$)/gm;

/** Reads `KEY=value` lines: quotes, comments and `export` as dotenv takes them. */
export function readEnv(text: string): EnvFile {
  const plain = text.replaceAll("\r\n", "\n");
  // What is left when all that is understood is taken away; its lines stay where they are.
  const rest = plain.replace(PART, (part) => part.replace(/[^\n]/g, ""));
  const line = rest.split("\n").findIndex((left) => left.trim() !== "");
  if (line >= 0) return { wrong: `line ${line + 1} is no variable`, line: line + 1 };
  return { variables: parseEnv(plain) as Readonly<Record<string, string>> };
}
