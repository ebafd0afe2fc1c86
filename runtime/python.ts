import type { Tools } from "#setup/tools.ts";

/**
 * The one-liner of a Command that runs one of our Python files. It is constant, so that neither a moved tool nor a
 * change of the plan rewrites the command; all data comes in variables. `exec`: what a timeout kills is the program.
 */
export const python = (script: string): string => `exec "$ENGINEROOM_PYTHON" -S -E -s -B runtime/${script}`;

export const pythonEnvironment = (tools: Tools): Readonly<Record<string, string>> => ({
  ENGINEROOM_PYTHON: tools.python?.path ?? "python3",
});
