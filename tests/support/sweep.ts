import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LABEL } from "#observe/docker.ts";
import { BASE_PREFIX } from "./checkout.ts";
import { removeLeftovers } from "./containers.ts";
import { noDocker } from "./docker.ts";
import { removeHoldings } from "./engine.ts";
import { removeNamespaces } from "./network-namespace.ts";
import { allProcesses, isAlive, signal, type Process } from "./processes.ts";
import { placesIn, takeDown } from "./test-stack.ts";
import { until } from "./until.ts";

/** Takes down what test runs that died have left behind. A base directory bears the PID of its run. */
export async function sweep(): Promise<void> {
  await removeHoldings((labels) => isDead(labels[LABEL.project] ?? ""));
  if (noDocker === undefined) await removeLeftovers();
  removeNamespaces((pid) => !existsSync(`/proc/${pid}`));
  const prefix = basename(BASE_PREFIX);
  const bases = readdirSync(dirname(BASE_PREFIX)).filter((name) => name.startsWith(prefix));
  for (const name of bases) {
    const base = join(dirname(BASE_PREFIX), name);
    if (isDead(base)) await clear(base);
  }
}

/** A path below the base directory of a run that is over. */
function isDead(path: string): boolean {
  const pid = path.startsWith(BASE_PREFIX) ? /^(\d+)-/.exec(path.slice(BASE_PREFIX.length))?.[1] : undefined;
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

async function clear(base: string): Promise<void> {
  await end(`the commands of ${base}`, ({ env }) => env.includes(`ENGINEROOM_STATE_HOME=${join(base, "state")}`));
  const env = {
    ...process.env,
    ENGINEROOM_STATE_HOME: join(base, "state"),
    ENGINEROOM_RUNTIME_HOME: join(base, "run"),
  };
  for (const checkout of directories(base)) {
    const dir = join(base, checkout);
    const { stateDir } = placesIn({ dir, env }, "any");
    for (const stack of directories(join(stateDir, "stacks"))) takeDown(placesIn({ dir, env }, stack), env);
    const { id } = placesIn({ dir, env }, "any");
    // Of another user, whom our own proof does not reach.
    await end(`the stacks of ${dir}`, (one) => one.env.some((name) => name.startsWith(`ENGINEROOM_INSTANCE=${id}/`)));
  }
  await end(`what works below ${base}`, ({ cwd }) => cwd.startsWith(`${base}/`));
  unmountBelow(base);
  rmSync(base, { recursive: true, force: true });
}

/** A small file system, on which a test tried a full disk. */
function unmountBelow(base: string): void {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const own = mounts.flatMap((line) => line.split(" ")[1] ?? []).filter((path) => path.startsWith(`${base}/`));
  for (const path of own) execFileSync("umount", [path]);
}

/** Only for what the directory's name, made at random, proves to be of that run. */
async function end(what: string, isOf: (process: Process) => boolean): Promise<void> {
  for (const one of allProcesses().filter(isOf)) if (isAlive(one)) signal(one, "SIGKILL");
  await until(`${what} to end`, () => !allProcesses().some(isOf));
}

function directories(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}
