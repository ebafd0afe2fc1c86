/** How a figure's numbers are meant. */
export type Unit = "s" | "ms" | "MB";

/** One line of the result: what was measured, what it stands beside, and what was hoped for. */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  /** One number a run, in the order of the runs. */
  readonly samples: readonly number[];
  /** A peer or a floor, measured in the same run. */
  readonly against?: { readonly name: string; readonly samples: readonly number[] };
  readonly goal?: Goal;
}

export interface Goal {
  /** Such as `floor + 0.3 s`. */
  readonly words: string;
  /** The figure is to stay below this, in its own unit. */
  readonly limit: number;
}

/** What one probe has found. */
export interface Findings {
  readonly figures: readonly Figure[];
  /** Lines that say how it was measured, and what lies behind the figures. */
  readonly notes: readonly string[];
}

export const isMet = ({ samples, goal }: Figure): boolean | undefined =>
  goal === undefined ? undefined : median(samples) <= goal.limit;

/** The middle one; of an even number the mean of the two in the middle. NaN of none. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/** Seconds that the work took, and what came of it. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly seconds: number; readonly result: T }> {
  const began = performance.now();
  const result = await work();
  return { seconds: (performance.now() - began) / 1000, result };
}
