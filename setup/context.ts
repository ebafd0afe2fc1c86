import type { Tool, Tools } from "#setup/tools.ts";

/** Where parts may be taken from, in this order. `ENGINEROOM_SOURCES` (a comma list) leaves some out. */
export const sources = ["host", "official", "packages"] as const;
export type Source = (typeof sources)[number];

/** An account that programs are started as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** What every part of the set-up is given. */
export interface SetupContext {
  readonly cacheDir: string;
  readonly projectDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly sources: readonly Source[];
  /** The service user where set-up runs as root: what it cannot start does not count as found. */
  readonly runAs: Account | undefined;
  /** One line a step. */
  readonly report: (line: string) => void;
  /** Parts found so far: a part sees those that it `needs`. */
  readonly tools: Tools;
}

export type Found = Pick<Tool, "path" | "version" | "source" | "env">;
