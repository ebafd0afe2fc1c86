/** One thing that is wrong with a stack file or the world around it. */
export interface Problem {
  /** Stable name, listed in docs/errors.md. */
  readonly code: string;
  /** Path in the stack file (`services.db.port`) or the thing itself (`port 8080`). */
  readonly where: string;
  readonly expected: string;
  /** Never a secret's value. */
  readonly got: string;
  /** The command or key that mends it. */
  readonly fix: string;
}

/** `services.db.port: expected a port 1-65535, got 70000. Fix: … [CODE]` */
export const problemLine = (problem: Problem): string =>
  `${problem.where}: expected ${problem.expected}, got ${problem.got}. Fix: ${problem.fix} [${problem.code}]`;

export function problemReport(title: string, problems: readonly Problem[]): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return [`${title} has ${count}:`, ...problems.map((problem) => `  ${problemLine(problem)}`)].join("\n");
}

/** A value of the file as a message repeats it: scalars as they are, the rest by its shape. */
export function shown(value: unknown, isPrivate = false): string {
  if (value === undefined) return "nothing";
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") {
    const keys = Object.keys(value);
    return keys.length === 0 ? "an empty map" : `a map with ${keys.map((key) => `\`${short(key)}\``).join(", ")}`;
  }
  if (isPrivate) return typeof value === "string" ? "a text (not shown)" : `a ${typeof value} (not shown)`;
  return `\`${short(typeof value === "number" ? String(value) : JSON.stringify(value))}\``;
}

const SHOWN_CHARACTERS = 80;
const short = (text: string): string => (text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);

/** "did you mean", where one of the candidates is near. */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  const similar = nearest(word, candidates);
  return similar === undefined ? undefined : `did you mean \`${similar}\`?`;
}

/**
 * Sorts problems as the file has their places; what is missing there comes where its parent stands.
 * @param raw the file's sections, in the order of the file.
 */
export function inFileOrder(problems: readonly Problem[], raw: object): readonly Problem[] {
  const ranks = new Map([...pathsOf(raw, "")].map((path, index) => [path, index]));
  const rank = ({ where }: Problem): number => {
    for (let path = where; path !== ""; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
      const found = ranks.get(path);
      if (found !== undefined) return found;
    }
    return -1;
  };
  return [...problems].sort((a, b) => rank(a) - rank(b));
}

function* pathsOf(value: unknown, path: string): Generator<string> {
  if (path !== "") yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) yield* pathsOf(item, path === "" ? key : `${path}.${key}`);
}

/** The candidate at most two edits (one, if it is short; or a third of its length) away, for "did you mean". */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= editsAllowed(best.candidate) ? best.candidate : undefined;
}

const editsAllowed = ({ length }: string): number => Math.max(length > 3 ? 2 : 1, Math.floor(length / 3));

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitute));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
