import { readFileSync } from "node:fs";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { driftInput } from "./drift.ts";
import { planText, supervisorPlan, type HostContext } from "./host-plan.ts";
import { python, pythonEnvironment } from "./python.ts";

/** The stack's one supervisord, which every host service depends on. */
export function runSupervisor(context: HostContext, drift: string | undefined): local.Command {
  const plan = supervisorPlan(context, readFileSync(new URL("./launch.py", import.meta.url), "utf8"));
  const { environment, ignoreChanges } = driftInput(drift);
  return new local.Command(
    "supervisor",
    {
      create: python("apply.py supervisor start"),
      update: python("apply.py supervisor start"),
      delete: python("apply.py supervisor stop"),
      environment: { PLAN: planText(plan), ...pythonEnvironment(context.tools), ...environment },
      logging: "none",
      addPreviousOutputInEnv: false,
    },
    { ignoreChanges, parent: pulumi.rootStackResource },
  );
}
