import type { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { runPlan } from "./command.ts";
import { secretsOfFiles, type FilesPlan } from "./container-spec.ts";
import type { MakerArgs } from "./process.ts";
import { secretInput } from "./secrets.ts";

/** Writes the files of a service that is no process of this host. */
export function writeFiles(
  files: FilesPlan,
  { plan, context, secrets, drift, dependsOn }: MakerArgs,
  parent: pulumi.Resource,
): local.Command {
  const start = "apply.py files start";
  return runPlan(
    `${plan.name}-files`,
    {
      scripts: { create: start, update: start, delete: "apply.py files stop" },
      plan: JSON.stringify(files),
      tools: context.tools,
      drift,
      stdin: secretInput(secretsOfFiles(files), secrets),
    },
    { parent, dependsOn: [...dependsOn] },
  );
}
