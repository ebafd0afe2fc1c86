import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Runs `work` while this process alone holds the lock. The kernel lets go of it when the process ends, however it
 * ends, so there is no stale lock. The file names the holder, for the line that says who is waited for.
 */
export async function withLock<T>(file: string, onWait: (holder: string) => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const release = (await take(file, ["--nonblock"])) ?? (onWait(holderOf(file)), await take(file, []));
  if (release === undefined) throw new Error(`flock could not lock ${file}`);
  try {
    writeFileSync(file, `${process.pid}\n`);
    return await work();
  } finally {
    await release();
  }
}

/** flock(1) holds the lock until its standard input ends, which it also does when this process is killed. */
async function take(file: string, options: readonly string[]): Promise<(() => Promise<void>) | undefined> {
  const child = spawn("flock", [...options, file, "sh", "-c", "echo locked; read -r _"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const locked = await Promise.race([once(child.stdout, "data").then(() => true), ended.then(() => false)]);
  if (!locked) return undefined;
  return async () => {
    child.stdin.end();
    await ended;
  };
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
