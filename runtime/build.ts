import { relative } from "node:path";
import type { local } from "@pulumi/command";
import type { BuildPlan } from "#stack/plan.ts";
import { runPlan } from "./command.ts";
import type { HostContext } from "./host-plan.ts";

/** An application directory made runnable; shared by the services that name the same directory. */
export function runBuild(build: BuildPlan, { places, tools }: HostContext, drift: string | undefined): local.Command {
  return runPlan(
    // Its directory, because another one may have the same last part.
    `${build.kind === "environment" ? "environment" : "build"}-${relative(places.projectDir, build.source)}`,
    {
      scripts: { create: "build.py" },
      plan: JSON.stringify({ ...build, python: tools.python?.path ?? "python3" }),
      tools,
      drift,
    },
    {},
  );
}
