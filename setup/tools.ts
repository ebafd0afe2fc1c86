import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Programs that host services and the command line need. */
export const hostParts = [
  "node",
  "python",
  "supervisord",
  "pulumi",
  "postgres",
  "redis",
  "nginx",
  "llama-server",
] as const;

/** The others are set up where they are asked for by name: `docker-plugin` by stacks with containers, the rest by those that run it on this host. */
export const toolNames = [...hostParts, "docker-plugin", "ollama", "object-store", "mqtt", "prometheus"] as const;
export type ToolName = (typeof toolNames)[number];

/** One program that set-up found or made. */
export interface Tool {
  /** Absolute path of the executable. `postgres` has initdb and psql beside it. */
  readonly path: string;
  readonly version: string;
  /** `host`: was on PATH; `official`: the maker's download; `packages`: from a package registry. */
  readonly source: "host" | "official" | "packages";
  /** Variables that the program needs, such as LD_LIBRARY_PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Hash of what was asked for; another one means: look again. */
  readonly key?: string;
  /** Size and time of the executable when it was found; another one means: look again. */
  readonly stamp?: string;
}

export type Tools = Readonly<Partial<Record<ToolName, Tool>>>;

export function toolsFile(cacheDir: string): string {
  return join(cacheDir, "tools.json");
}

/** What the last set-up wrote; empty where there was none. */
export function readTools(cacheDir: string): Tools {
  try {
    return JSON.parse(readFileSync(toolsFile(cacheDir), "utf8")) as Tools;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
