import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BASE_PREFIX } from "./checkout.ts";
import { isAlive, processesWith, signal } from "./processes.ts";
import { placesIn, takeDown } from "./test-stack.ts";
import { until } from "./until.ts";

/** Takes down what test runs that died have left behind. A base directory bears the PID of its run. */
export async function sweep(): Promise<void> {
  const prefix = basename(BASE_PREFIX);
  const bases = readdirSync(dirname(BASE_PREFIX)).filter((name) => name.startsWith(prefix));
  for (const name of bases) {
    const pid = /^(\d+)-/.exec(name.slice(prefix.length))?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await clear(join(dirname(BASE_PREFIX), name));
  }
}

async function clear(base: string): Promise<void> {
  await endCommands(base);
  const env = {
    ...process.env,
    ENGINEROOM_STATE_HOME: join(base, "state"),
    ENGINEROOM_RUNTIME_HOME: join(base, "run"),
  };
  for (const checkout of directories(base)) {
    const dir = join(base, checkout);
    const { stateDir } = placesIn({ dir, env }, "any");
    for (const stack of directories(join(stateDir, "stacks"))) takeDown(placesIn({ dir, env }, stack), env);
  }
  unmountBelow(base);
  rmSync(base, { recursive: true, force: true });
}

/** A small file system, on which a test tried a full disk. */
function unmountBelow(base: string): void {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const own = mounts.flatMap((line) => line.split(" ")[1] ?? []).filter((path) => path.startsWith(`${base}/`));
  for (const path of own) execFileSync("umount", [path]);
}

/** Commands that the dead run started: nothing else has this variable, whose value was made at random. */
async function endCommands(base: string): Promise<void> {
  const own = `ENGINEROOM_STATE_HOME=${join(base, "state")}`;
  for (const one of processesWith(own)) if (isAlive(one)) signal(one, "SIGKILL");
  await until(`the commands of ${base} to end`, () => processesWith(own).length === 0);
}

function directories(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}
