import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "#cli/errors.ts";
import { RELAY } from "#components/relay.ts";
import type { StackPlan } from "#stack/plan.ts";
import type { StackPlaces } from "#stack/places.ts";
import { stackFileName } from "#stack/file.ts";
import { checkpointFile, pendingOperations, removeLock, stackLocks, type StackLock } from "./locks.ts";
import { saltFits } from "./salt.ts";

export type Verb = "up" | "preview" | "destroy" | "refresh";

/** A stack, and the environment in which Pulumi works on it. */
export interface EngineTarget {
  readonly places: StackPlaces;
  /** The file holds values encrypted with its salt. */
  readonly encrypted: boolean;
  /** The whole environment, variables of setup/environment.ts included. */
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

/** Sees that Pulumi can begin: the salt fits, the stack exists, nobody else is at it, and no dead run is in the way. */
export async function prepareEngine(target: EngineTarget): Promise<void> {
  await refuseForeignSalt(target);
  await ensureStack(target);
  clearLocks(target);
  await clearPending(target);
}

async function refuseForeignSalt({ places, encrypted, env }: EngineTarget): Promise<void> {
  const file = env["PULUMI_CONFIG_PASSPHRASE_FILE"];
  const passphrase = env["PULUMI_CONFIG_PASSPHRASE"] ?? (file ? readFileSync(file, "utf8").trim() : undefined);
  if (passphrase === undefined || (await saltFits(places, passphrase))) return;
  const name = stackFileName(places.stack);
  throw new UserError("STACK_SALT", `${name}: encryptionsalt: expected one made with this passphrase, got another.`, {
    exitCode: 2,
    fix: encrypted
      ? `set PULUMI_CONFIG_PASSPHRASE to the passphrase that encrypted its secrets, or remove the line and set each anew`
      : `delete the line that begins with \`encryptionsalt:\` (the file holds nothing encrypted)`,
  });
}

/** Makes the stack. Our own backend shows in a file whether it exists; of another one Pulumi must be asked. */
export async function ensureStack({ places, env }: EngineTarget): Promise<void> {
  if (existsSync(checkpointFile(places.backendDir, places.stack))) return;
  const made = await pulumi(["stack", "init", places.stack, "--no-select", "--non-interactive"], { places, env });
  if (made.exitCode !== 0 && !made.stderr.includes("already exists")) throw engineError("stack init", made.stderr);
}

function clearLocks(target: EngineTarget): void {
  const locks = stackLocks(target.places);
  const living = locks.filter((lock) => lock.alive);
  if (living.length > 0) throw lockedError(target.places.stack, living);
  if (locks.length === 0) return;
  for (const lock of locks) {
    target.report(`cleared the lock of a run that died: ${lockWords(lock)}`);
    removeLock(lock);
  }
}

function lockedError(stack: string, locks: readonly StackLock[]): UserError {
  return new UserError(
    "STACK_LOCKED",
    `stack ${stack}: expected nobody else to change it, got ${locks.map(lockWords).join(", ")}.`,
    {
      fix: `wait for it to end; if you know that it is dead: pulumi cancel --stack ${stack}`,
    },
  );
}

const lockWords = ({ pid, user, host, since }: StackLock): string =>
  `process ${pid} of ${user} on ${host}, since ${since}`;

/**
 * After a kill the checkpoint names what was under way. All our makers may be repeated, so the entries only need to go:
 * the next `up` finds what is there and completes it.
 */
async function clearPending(target: EngineTarget): Promise<void> {
  const pending = pendingOperations(target.places);
  if (pending.length === 0) return;
  for (const { type, urn } of pending)
    target.report(`the last run was killed while ${type} ${urn.split("::").at(-1) ?? urn}`);
  const { stack } = target.places;
  const args = ["refresh", "--stack", stack, "--yes", "--skip-preview", "--clear-pending-creates", "--non-interactive"];
  const refreshed = await pulumi(args, target);
  if (refreshed.exitCode !== 0) throw engineError("refresh", refreshed.stderr + refreshed.stdout);
  target.report("cleared what it left undone; up completes it");
}

async function pulumi(args: readonly string[], { places, env }: Pick<EngineTarget, "places" | "env">) {
  return await execa("pulumi", args, {
    cwd: places.projectDir,
    env,
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    timeout: 120_000,
  });
}

const engineError = (verb: string, output: string): UserError =>
  new UserError("ENGINE", `pulumi ${verb}: expected success, got:\n${output.trim()}`);

/** Services that stand on this host, or in a container of it, and are not in the plan any more: `up` takes them down. */
export function servicesToRemove({ places, services }: StackPlan): readonly string[] {
  const planned = new Set([RELAY, ...services.map((service) => service.name)]);
  const standing = [places.servicesDir, places.containersDir].flatMap((dir) =>
    existsSync(dir) ? readdirSync(dir) : [],
  );
  return [...new Set(standing)].filter((name) => !planned.has(name));
}

/** No exit code of Pulumi's: a signal ended it. */
const KILLED = -1;

export interface EngineEnd {
  readonly exitCode: number;
  readonly interrupted: boolean;
}

/**
 * Pulumi writes its whole state before and after each single step: with 60 containers that is most of a destroy. One
 * that is killed begins anew with all of it, since no delete minds that there is nothing; an interrupted one is written.
 */
const DESTROYING = { PULUMI_SKIP_CHECKPOINTS: "true" };

/**
 * Runs Pulumi with its own display. On a terminal that display takes the keyboard, and Ctrl-C with it; otherwise
 * Ctrl-C reaches us alone, because Pulumi stands in a session of its own, and it gets exactly one SIGINT: a second one
 * would leave pending operations.
 */
export async function runEngine(verb: Verb, args: readonly string[], target: EngineTarget): Promise<EngineEnd> {
  const mark = join(target.places.stateDir, `interrupted-${process.pid}`);
  rmSync(mark, { force: true });
  const child = spawn("pulumi", [verb, "--stack", target.places.stack, ...args], {
    cwd: target.places.projectDir,
    env: { ...(verb === "destroy" && DESTROYING), ...target.env, ENGINEROOM_INTERRUPTED: mark },
    stdio: [process.stdin.isTTY ? "inherit" : "ignore", "inherit", "inherit"],
    detached: true,
  });
  let interrupted = false as boolean;
  const interrupt = (): void => {
    target.report(
      interrupted ? "still ending; this takes at most 10 s" : "interrupted: what is under way ends, nothing new begins",
    );
    if (!interrupted) child.kill("SIGINT");
    interrupted = true;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        resolve(code ?? KILLED);
      });
    });
    // A killed engine ends its program as a cancelled one does; only the latter ends by itself.
    return { exitCode, interrupted: interrupted || (exitCode !== KILLED && existsSync(mark)) };
  } finally {
    rmSync(mark, { force: true });
    for (const signal of signals) process.off(signal, interrupt);
  }
}
