import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  /** ISO 8601, UTC, to the minute. */
  readonly date: string;
  /** Cores, memory, kernel. */
  readonly words: string;
  /** Over 1, 5 and 15 minutes. */
  readonly load: string;
}

export function machine(): Machine {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gibibytes = (totalmem() / 2 ** 30).toFixed(1);
  return {
    date: `${new Date().toISOString().slice(0, 16)}Z`,
    words: `${cpus().length} cores (${model}), ${gibibytes} GiB, Linux ${release()}, ${system()}, Node ${process.version}`,
    load: loadavg()
      .map((value) => value.toFixed(1))
      .join(" "),
  };
}

function system(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  } catch {
    return "unknown distribution";
  }
}
