import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { parseStat, processIdentity } from "#checks/process-tree.ts";

/** A process, by what cannot be given out twice. */
export interface Identity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly startTime: number;
}

export interface Process extends Identity {
  readonly argv: string;
  /** `NAME=value`; empty where we may not look. */
  readonly env: readonly string[];
  /** Empty where we may not look. */
  readonly cwd: string;
}

/** All processes that live now, but for the kernel's own. */
export const allProcesses = (): readonly Process[] => allPids().flatMap((pid) => lookAt(pid) ?? []);

const allPids = (): readonly number[] =>
  readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? Number(name) : []));

function lookAt(pid: number): Process | undefined {
  const identity = identityOf(pid);
  const argv = procFile(pid, "cmdline");
  if (identity === undefined || argv === "") return undefined;
  return {
    ...identity,
    argv: argv.replaceAll("\0", " ").trimEnd(),
    env: procFile(pid, "environ").split("\0"),
    cwd: cwdOf(pid),
  };
}

function cwdOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

export function identityOf(pid: number): Identity | undefined {
  const found = processIdentity(pid);
  return found && { pid, startTime: found.startTime };
}

export function isAlive({ pid, startTime }: Identity): boolean {
  return identityOf(pid)?.startTime === startTime;
}

/** Sends only to the very process that was meant. */
export function signal(target: Identity, name: NodeJS.Signals): void {
  if (!isAlive(target)) throw new Error(`process ${target.pid} has ended already`);
  process.kill(target.pid, name);
}

/** Processes with this very variable in their environment. */
export const processesWith = (variable: string): readonly Process[] =>
  allProcesses().filter(({ env }) => env.includes(variable));

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

export interface Stranger extends Identity, AsyncDisposable {}

/** A process that is not ours in any way: from another directory, with an empty environment. */
export async function startStranger(argv: readonly string[], cwd = "/"): Promise<Stranger> {
  const child = spawn("/usr/bin/env", ["-i", ...argv], { cwd, stdio: "ignore", detached: true });
  await once(child, "spawn");
  const identity = identityOf(child.pid ?? 0);
  if (identity === undefined) throw new Error(`${argv.join(" ")}: ended at once`);
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  return { ...identity, [Symbol.asyncDispose]: end };
}

/** What every look at /proc has seen, while it runs. */
export interface Watch extends AsyncDisposable {
  readonly looks: number;
  /** Every process that was there at any look. */
  readonly seen: () => readonly Process[];
}

/** Looks at all processes, again and again, until it is disposed of. What is known already is not read again. */
export function watchProcesses(): Watch {
  const seen = new Map<string, Process>();
  const take = (pid: number): void => {
    // A program that takes another's place with `exec` changes its arguments.
    const key = `${pid} ${parseStat(pid, procFile(pid, "stat"))?.startTime ?? 0} ${procFile(pid, "cmdline")}`;
    const found = seen.has(key) ? undefined : lookAt(pid);
    if (found !== undefined) seen.set(key, found);
  };
  const end = new AbortController();
  let looks = 0;
  const loop = (async () => {
    while (!end.signal.aborted) {
      for (const pid of allPids()) take(pid);
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    get looks() {
      return looks;
    },
    seen: () => [...seen.values()],
    [Symbol.asyncDispose]: async () => {
      end.abort();
      await loop;
    },
  };
}
