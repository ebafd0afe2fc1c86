import { relative } from "node:path";
import { local } from "@pulumi/command";
import type { BuildPlan } from "#stack/plan.ts";
import { driftInput } from "./drift.ts";
import type { HostContext } from "./host-plan.ts";
import { python, pythonEnvironment } from "./python.ts";

/** An application directory made runnable; shared by the services that name the same directory. */
export function runBuild(build: BuildPlan, { places, tools }: HostContext, drift: string | undefined): local.Command {
  const { environment, ignoreChanges } = driftInput(drift);
  return new local.Command(
    // Its directory, because another one may have the same last part.
    `build-${relative(places.projectDir, build.source)}`,
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
