import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ToolName, Tools } from "#setup/tools.ts";

export const projectDir = realpathSync(join(import.meta.dirname, "..", "..", ".."));

/** Directories of an engineroom of its own, in a path with spaces; as root, services may enter it. */
export class Places implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "engineroom set up "));
  readonly cacheDir = join(this.dir, "cache");

  constructor() {
    chmodSync(this.dir, 0o755);
  }

  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { ENGINEROOM_NO_INSTALL: _, ...outer } = process.env;
    return {
      ...(outer as Record<string, string>),
      ENGINEROOM_CACHE_HOME: this.cacheDir,
      ENGINEROOM_STATE_HOME: join(this.dir, "state"),
      ENGINEROOM_RUNTIME_HOME: join(this.dir, "run"),
      ...more,
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface SetUpRun {
  readonly exitCode: number | null;
  readonly lines: readonly string[];
  readonly tools: Tools;
}

const script = `
  const { setUp } = await import("#setup/setup.ts");
  const { explainError, exitCodeOf } = await import("#cli/errors.ts");
  const { parts, projectDir, install } = JSON.parse(process.argv[1]);
  try {
    await setUp({ parts, projectDir, install, env: process.env, report: (line) => console.error(line) });
  } catch (error) {
    console.error(explainError(error));
    process.exitCode = exitCodeOf(error);
  }`;

/** A set-up in a process of its own. */
export function startSetUp(places: Places, parts: readonly ToolName[], env: Record<string, string>, install = true) {
  const child = spawn(
    process.execPath,
    ["--input-type=module", "--eval", script, JSON.stringify({ parts, projectDir, install })],
    { cwd: projectDir, env: places.env(env), stdio: ["ignore", "ignore", "pipe"] },
  );
  const text: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => text.push(chunk.toString()));
  const ended = once(child, "close").then(([code]): SetUpRun => {
    const lines = text.join("").split("\n").filter(Boolean);
    return { exitCode: code as number | null, lines, tools: readToolsFile(places) };
  });
  return { child, ended };
}

function readToolsFile(places: Places): Tools {
  try {
    return JSON.parse(readFileSync(join(places.cacheDir, "tools.json"), "utf8")) as Tools;
  } catch {
    return {};
  }
}
