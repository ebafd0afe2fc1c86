import { local } from "@pulumi/command";
import type { Tools } from "#setup/tools.ts";
import type { BuildPlan } from "#stack/plan.ts";
import { driftInput } from "./drift.ts";
import { python, pythonEnvironment } from "./python.ts";

/** An application directory made runnable; shared by the services that name the same directory. */
export function runBuild(build: BuildPlan, tools: Tools, drift: string | undefined): local.Command {
  const { environment, ignoreChanges } = driftInput(drift);
  const name = `build-${build.key.replace(/-[0-9a-f]{12}$/, "")}`;
  return new local.Command(
    name,
    {
      create: python("build.py"),
      environment: {
        PLAN: JSON.stringify({ ...build, python: tools.python?.path ?? "python3" }),
        ...pythonEnvironment(tools),
        ...environment,
      },
      logging: "none",
      addPreviousOutputInEnv: false,
    },
    { ignoreChanges },
  );
}
