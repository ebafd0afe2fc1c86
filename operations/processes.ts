import { readFileSync } from "node:fs";
import { processStats, type ProcessStat } from "#checks/process-tree.ts";

/** A process that carries an owner's mark in its environment. Its mark alone proves nothing: never end it by this. */
export interface MarkedProcess extends ProcessStat {
  /** `<id>/<stack>` */
  readonly owner: string;
  /** Undefined for supervisord. */
  readonly service: string | undefined;
}

/** Processes whose environment names an owner of this project. Another user's show theirs only to root. */
export function markedProcesses(projectId: string): readonly MarkedProcess[] {
  return processStats().flatMap((stat) => {
    const variables = environmentOf(stat.pid);
    const owner = valueOf(variables, "ENGINEROOM_INSTANCE")?.split(" ")[0];
    if (owner?.startsWith(`${projectId}/`) !== true) return [];
    return [{ ...stat, owner, service: valueOf(variables, "ENGINEROOM_SERVICE") }];
  });
}

/** The command line, at most so many characters of it. */
export function commandOf(pid: number, limit = 100): string {
  const text = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
  return text.length > limit ? `${text.slice(0, limit - 3)}...` : text;
}

/** Owner and token that a process bears, as launch.py gives them: `<owner> <token>`. */
export const instanceOf = (pid: number): string | undefined => valueOf(environmentOf(pid), "ENGINEROOM_INSTANCE");

const environmentOf = (pid: number): readonly string[] => read(`/proc/${pid}/environ`).split("\0");

const valueOf = (variables: readonly string[], name: string): string | undefined =>
  variables.find((variable) => variable.startsWith(`${name}=`))?.slice(name.length + 1);

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
