import { readFileSync } from "node:fs";
import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { runPlan } from "./command.ts";
import { planText, supervisorPlan, type HostContext } from "./host-plan.ts";

/** The stack's one supervisord, which every host service depends on. */
export function runSupervisor(context: HostContext, drift: string | undefined): local.Command {
  const plan = supervisorPlan(context, readFileSync(new URL("./launch.py", import.meta.url), "utf8"));
  const start = "apply.py supervisor start";
  return runPlan(
    "supervisor",
    {
      scripts: { create: start, update: start, delete: "apply.py supervisor stop" },
      plan: planText(plan),
      tools: context.tools,
      drift,
    },
    { parent: pulumi.rootStackResource },
  );
}
