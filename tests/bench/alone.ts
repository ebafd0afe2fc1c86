import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, fchownSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { Outcome } from "#checks/check.ts";
import { processTree } from "#checks/process-tree.ts";
import { probeOf } from "#checks/run.ts";
import type { Opened } from "#observe/world.ts";
import { planText, secretNames, serviceHome, type HostPlan } from "#runtime/host-plan.ts";
import { serviceAccount } from "#setup/system-user.ts";
import type { ServicePlan } from "#stack/plan.ts";

/** How often a service that starts is asked. */
const ASK_EVERY_MS = 20;
const LIMIT_MS = 120_000;

/** A service that runs with nothing of ours around it. */
export interface Alone extends AsyncDisposable {
  /** From its start to its first success. */
  readonly seconds: number;
}

/** Values for every secret of the stack, new each time, as they are after a destroy. */
export const newSecrets = ({ hostPlans }: Opened): ReadonlyMap<string, string> =>
  new Map([...hostPlans.values()].flatMap(secretNames).map((name) => [name, randomBytes(32).toString("base64url")]));

/**
 * Starts a service by its own command, in its own directory and environment, as the account that it is for, and asks
 * the project's own check until it succeeds. A job has succeeded when it ends well.
 */
export async function startAlone(
  { plan: { places }, context, hostPlans }: Opened,
  plan: ServicePlan,
  secrets: ReadonlyMap<string, string>,
): Promise<Alone> {
  const hostPlan = hostPlans.get(plan.name);
  if (!hostPlan) throw new Error(`no host plan for ${plan.name}`);
  await install(hostPlan, secrets, context.tools.python?.path ?? "python3", places.projectDir);
  const launch = JSON.parse(readFileSync(`${serviceHome(places, plan.name)}/launch.json`, "utf8")) as {
    readonly argv: readonly string[];
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
  };
  const [program = "", ...args] = launch.argv;
  const account = context.host.asRoot ? serviceAccount() : undefined;
  const log = openSync(join(context.host.stateHome, `alone-${plan.name}.log`), "a");
  // nginx opens its /dev/stdout anew.
  if (account) fchownSync(log, account.uid, account.gid);
  const began = performance.now();
  const child = spawn(program, args, {
    cwd: launch.cwd,
    env: launch.env,
    stdio: ["ignore", log, log],
    detached: true,
    ...account,
  });
  closeSync(log);
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, `SIG${plan.stopSignal}`);
    const kill = setTimeout(() => child.kill("SIGKILL"), plan.stopGraceMs);
    await ended;
    clearTimeout(kill);
  };
  try {
    if (plan.run === "job") {
      await ended;
      if (child.exitCode !== 0) throw new Error(`${plan.name}: ended with exit code ${child.exitCode ?? "none"}`);
    } else {
      await whenReady(plan, child.pid ?? 0, () => child.exitCode === null);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { seconds: (performance.now() - began) / 1000, [Symbol.asyncDispose]: stop };
}

async function install(plan: HostPlan, secrets: ReadonlyMap<string, string>, python: string, cwd: string) {
  const values = Object.fromEntries(secretNames(plan).map((name) => [name, secrets.get(name)]));
  await execa(python, ["-S", "-E", "-s", "-B", join(import.meta.dirname, "install.py")], {
    cwd,
    env: { PLAN: planText(plan) },
    extendEnv: false,
    input: JSON.stringify(values),
  });
}

async function whenReady(plan: ServicePlan, pid: number, isAlive: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  const ask = asker(plan, () => Promise.resolve(processTree(pid)));
  for (;;) {
    const outcome = await ask();
    if (outcome.status === "ready") return;
    if (!isAlive() || performance.now() > deadline) {
      throw new Error(`${plan.name}: expected it to be ready, got: ${outcome.reason}`);
    }
    await sleep(ASK_EVERY_MS);
  }
}

/** The project's own check of a service, one attempt at a time. */
export function asker(plan: ServicePlan, tree?: () => Promise<readonly number[]>): () => Promise<Outcome> {
  if (!plan.check) throw new Error(`${plan.name} has no check`);
  const probe = probeOf(plan.check, tree && { processTree: tree });
  return () => probe(AbortSignal.timeout(15_000));
}
