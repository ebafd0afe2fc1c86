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

/** The candidate at most two edits (or a third of its length) away, for "did you mean". */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

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
