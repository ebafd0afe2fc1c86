import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { serviceAccount } from "#setup/system-user.ts";
import { readTools } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";
import { identityOf, isAlive, signal } from "./processes.ts";
import type { TestStack } from "./test-stack.ts";
import { until } from "./until.ts";

/**
 * What a restart of the machine leaves, as far as it can be had without one: every process of the stack is gone at
 * once, then supervisord starts from its settings and nothing else, and starts all programs at the same time. An engine
 * starts its containers again by itself.
 */
export async function restartAll(stack: TestStack): Promise<void> {
  const containers = Object.values(await stack.containers()).filter(({ State }) => State.Pid > 0);
  for (const { State } of containers) signal(identityOf(State.Pid)!, "SIGKILL");
  if (existsSync(stack.places.supervisorSocket)) await restartSupervisor(stack);
}

async function restartSupervisor(stack: TestStack): Promise<void> {
  await loseAll(stack);
  const uid = process.getuid?.() ?? 0;
  const { supervisord } = readTools(hostPlaces(process.env, uid).cacheDir);
  const account = uid === 0 ? serviceAccount() : undefined;
  const variables = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", `ENGINEROOM_INSTANCE=${stack.places.owner}`];
  const argv = ["-i", ...variables, supervisord?.path ?? "", "-c", `${stack.places.stackDir}/supervisord.conf`];
  const child = spawn("/usr/bin/env", argv, { cwd: "/", stdio: "ignore", detached: true, ...account });
  await once(child, "exit");
  await until("supervisord to answer", async () => {
    try {
      return await stack.supervisor();
    } catch {
      return undefined;
    }
  });
}

/** As a power cut: nobody gets to say goodbye. supervisord goes first, or it would start its programs again. */
async function loseAll(stack: TestStack): Promise<void> {
  const supervisor = await stack.supervisor();
  signal(supervisor, "SIGKILL");
  await until("supervisord to end", () => !isAlive(supervisor));
  for (const one of stack.processes()) if (isAlive(one)) signal(one, "SIGKILL");
  await until("every process of the stack to end", () => stack.processes().length === 0);
}
