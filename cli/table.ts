/** A piece of a line, and whether it stands for something good, bad or in between. */
export interface Cell {
  readonly text: string;
  readonly mood: "good" | "bad" | "middling" | "quiet";
}

/** ANSI colours that read on light and dark ground. */
const COLOURS = { good: 32, bad: 31, middling: 33, quiet: 2 } as const;

/** Whether to colour: on a terminal, unless `NO_COLOR` is set (no-color.org). */
export const wantsColour = (
  stream: { readonly isTTY?: boolean } = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): boolean => stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";

/** Lines with aligned columns; the last column is as long as it is. */
export function table(rows: readonly (readonly (string | Cell)[])[], colour = wantsColour()): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => textOf(row[column] ?? "").length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const isLast = row.slice(column + 1).every((next) => textOf(next) === "");
        const text = isLast ? textOf(cell) : textOf(cell).padEnd(widths[column] ?? 0);
        return painted(text, cell, colour);
      })
      .join("  ")
      .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join("");
}

const textOf = (cell: string | Cell): string => (typeof cell === "string" ? cell : cell.text);

export function painted(text: string, cell: string | Cell, colour: boolean): string {
  return colour && typeof cell !== "string" ? `\u001B[${COLOURS[cell.mood]}m${text}\u001B[0m` : text;
}
