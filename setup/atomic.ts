import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A name beside `target` that says who makes it; only a rename gives it the real name. */
export function temporaryName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
}

export function writeFileAtomic(file: string, text: string, mode = 0o644): void {
  const temporary = temporaryName(file);
  mkdirSync(dirname(file), { recursive: true });
  try {
    writeFileSync(temporary, text, { mode, flag: "wx", flush: true });
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Runs `make` on a temporary name and gives the result its real name; a failure leaves nothing. */
export async function makeAtomic(target: string, make: (temporary: string) => Promise<void>): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  removeAbandoned(dirname(target));
  const temporary = temporaryName(target);
  try {
    await make(temporary);
    renameUnlessThere(temporary, target);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Gives `work` an empty directory beside `target`, which is gone afterwards. */
export async function withScratch(target: string, work: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = temporaryName(target);
  mkdirSync(scratch, { recursive: true });
  try {
    await work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function renameUnlessThere(temporary: string, target: string): void {
  try {
    renameSync(temporary, target);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Another process made the same directory first.
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

/** Like {@link makeAtomic} for what cannot be moved: `target` becomes a link to a directory that keeps its first name. */
export async function makeLinked(target: string, make: (home: string) => Promise<void>): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  removeAbandoned(dirname(target));
  const home = temporaryName(target).replace(/\.tmp$/, "");
  const making = `${home}.tmp`;
  try {
    symlinkSync(basename(home), making);
    await make(home);
    renameSync(making, target);
  } catch (error) {
    rmSync(making, { force: true });
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

// A pip that outlived its set-up may still be writing there.
const abandoned = { recursive: true, force: true, maxRetries: 5 };

/** Removes what a killed set-up left half made. */
function removeAbandoned(dir: string): void {
  for (const name of readdirSync(dir)) {
    const pid = /^\..*\.(\d+)\.[0-9a-f]{8}\.tmp$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // A link names the directory that was being made for it.
    rmSync(join(dir, name.replace(/\.tmp$/, "")), abandoned);
    rmSync(join(dir, name), abandoned);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
