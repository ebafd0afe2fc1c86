import type * as pulumi from "@pulumi/pulumi";
import { complaintsOf, type ServicePlan } from "#stack/plan.ts";
import { runPlan } from "./command.ts";
import { planText, secretNames, serviceHome, type HostContext, type HostPlan } from "./host-plan.ts";
import { proveService } from "./proof.ts";
import { secretInput } from "./secrets.ts";

/** What both makers are given. */
export interface MakerArgs {
  readonly plan: ServicePlan;
  readonly context: HostContext;
  /** Values of the plan's secret holes, by name. */
  readonly secrets: ReadonlyMap<string, pulumi.Output<string>>;
  readonly drift: string | undefined;
  /** Why models must be brought again, by their names. */
  readonly modelDrift: ReadonlyMap<string, string>;
  /** What must be ready or done before it starts. */
  readonly dependsOn: readonly pulumi.Resource[];
}

export interface ProcessArgs extends MakerArgs {
  readonly hostPlan: HostPlan;
}

/** Starts a service, or runs a job, on this host; returns what its dependents wait for. The one maker of processes. */
export function runProcess(
  args: ProcessArgs,
  parent: pulumi.ComponentResource,
  componentType: string,
): pulumi.Resource {
  const { plan, context } = args;
  const command = runCommand(args, parent);
  if (plan.check === undefined) return command;
  const where = {
    token: command.stdout,
    socket: context.places.supervisorSocket,
    home: serviceHome(context.places, plan.name),
    logFile: complaintsOf(plan),
  };
  // Its token comes from the process, which waited for what they depend on.
  return proveService({ ...args, dependsOn: [] }, where, parent, componentType);
}

function runCommand({ plan, hostPlan, context, secrets, drift, dependsOn }: ProcessArgs, parent: pulumi.Resource) {
  const what = plan.run === "job" ? "job" : "service";
  const start = `apply.py ${what} start`;
  return runPlan(
    `${plan.name}-${plan.run === "job" ? "run" : "process"}`,
    {
      scripts: { create: start, update: start, delete: `apply.py ${what} stop` },
      plan: planText(hostPlan),
      tools: context.tools,
      drift,
      stdin: secretInput(secretNames(hostPlan), secrets),
    },
    { parent, dependsOn: [...dependsOn] },
  );
}
