import { isDeepStrictEqual } from "node:util";
import { isMap, isScalar, parseDocument, type Document, type Pair } from "yaml";

/** Which model files a stack runs on: those that it declares, or the small one in place of each. */
export type ModelChoice = "declared" | "small";

const SETTINGS = "engineroom:settings";
const KEY = "models";

interface Content {
  readonly config: Readonly<Record<string, unknown>>;
}

/** The stack file's text with the choice in it; all else is as it was, comments and spaces too. */
export function withModelChoice(text: string, choice: ModelChoice): string {
  const document = parse(text);
  const { config, ...more } = document.toJS() as Content;
  const { [KEY]: current = "declared", ...rest } = (config[SETTINGS] ?? {}) as Readonly<Record<string, unknown>>;
  if (current === choice) return text;
  const { [SETTINGS]: _settings, ...others } = config;
  const settings = choice === "small" ? { [KEY]: choice, ...rest } : rest;
  const isEmpty = Object.keys(settings).length === 0;
  const wanted = { ...more, config: { ...others, ...(isEmpty ? {} : { [SETTINGS]: settings }) } };
  const edited = choice === "small" ? inserted(text, document) : removed(text, document);
  if (edited !== undefined && isDeepStrictEqual(parse(edited).toJS(), wanted)) return edited;
  // The section has a form that the edit of the text does not know: it alone is written anew.
  if (isEmpty) document.deleteIn(["config", SETTINGS]);
  else document.setIn(["config", SETTINGS], document.createNode(settings));
  return document.toString({ lineWidth: 0 });
}

const parse = (text: string): Document => parseDocument(text, { merge: true });

function inserted(text: string, document: Document): string | undefined {
  const settings = document.getIn(["config", SETTINGS]);
  const first = isMap(settings) ? startOf(settings.items[0]) : undefined;
  if (isMap(settings) && first !== undefined)
    return splice(text, first, first, `${KEY}: small${settings.flow ? ", " : `\n${indentAt(text, first)}`}`);
  const config = document.get("config");
  const at = isMap(config) && !config.has(SETTINGS) ? startOf(config.items[0]) : undefined;
  if (at === undefined) return undefined;
  const indent = indentAt(text, at);
  return splice(text, at, at, `${SETTINGS}:\n${indent}${indent}${KEY}: small\n${indent}`);
}

function removed(text: string, document: Document): string | undefined {
  const config = document.get("config");
  const settings = document.getIn(["config", SETTINGS]);
  if (!isMap(config) || !isMap(settings)) return undefined;
  const at = startOf(settings.items.find((pair) => isKey(pair, KEY)));
  const section = startOf(config.items.find((pair) => isKey(pair, SETTINGS)));
  if (at === undefined || section === undefined) return undefined;
  if (settings.flow) return text.slice(0, at) + text.slice(at).replace(/^models:\s*\w+\s*(,\s*|(?=\}))/, "");
  const from = settings.items.length === 1 ? section : at;
  return splice(text, from - indentAt(text, from).length, lineEnd(text, at), "");
}

const isKey = ({ key }: Pair, name: string): boolean => isScalar(key) && key.value === name;

const startOf = (pair: Pair | undefined): number | undefined => (isScalar(pair?.key) ? pair.key.range?.[0] : undefined);

const splice = (text: string, from: number, to: number, by: string): string =>
  text.slice(0, from) + by + text.slice(to);

/** What stands before this place in its line. */
const indentAt = (text: string, at: number): string => text.slice(text.lastIndexOf("\n", at - 1) + 1, at);

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end + 1;
}
