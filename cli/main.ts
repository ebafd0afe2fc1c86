import { enableCompileCache } from "node:module";
import { join } from "node:path";
import type { CommandEntry } from "#cli/program.ts";
import { hostPlaces } from "#stack/places.ts";

const commands: Readonly<Record<string, CommandEntry>> = {
  up: { summary: "bring the stack up, or repair it", load: () => import("#cli/up.ts") },
  preview: { summary: "show what up would change, and what is broken", load: () => import("#cli/preview.ts") },
  destroy: { summary: "take the stack down; data is kept", load: () => import("#cli/destroy.ts") },
  refresh: { summary: "bring Pulumi's state up to date with its providers", load: () => import("#cli/refresh.ts") },
  status: { summary: "show how every service is", load: () => import("#cli/status.ts") },
  check: { summary: "have services do a unit of work each", load: () => import("#cli/check.ts") },
  logs: { summary: "print the last lines of services' logs", load: () => import("#cli/logs.ts") },
  plan: { summary: "print what the stack file comes to, secrets left out", load: () => import("#cli/plan.ts") },
  workers: { summary: "show who takes work from the stack's brokers", load: () => import("#cli/workers.ts") },
  doctor: { summary: "look at everything that could be in the way", load: () => import("#cli/doctor.ts") },
  test: { summary: "run every check and test, and count them", load: () => import("#cli/test.ts") },
  setup: {
    summary: "get every part that is missing, and say where each came from",
    load: () => import("#cli/setup.ts"),
  },
  models: {
    summary: "show the models that the stack declares, and get those that are missing",
    load: () => import("#cli/models.ts"),
  },
  images: { summary: "show the images that containers run on", load: () => import("#cli/images.ts") },
  env: { summary: "print the shell lines that plain pulumi needs", load: () => import("#cli/env.ts") },
};

// Everything else is imported after this: without the launcher, what is loaded before it is compiled anew each time.
const compileCache = join(hostPlaces(process.env, process.getuid?.() ?? 0).cacheDir, "node-compile-cache");
enableCompileCache(compileCache);
// The launcher's, for this process alone: `env` prints it for those whose environment has none.
if (process.env["NODE_COMPILE_CACHE"] === compileCache) delete process.env["NODE_COMPILE_CACHE"];
const { runProgram } = await import("#cli/program.ts");
process.exitCode = await runProgram(commands, process.argv.slice(2));
