import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { ServicePlan } from "#stack/plan.ts";
import { Ready, urnBelow } from "#providers/resources.ts";
import { driftInput } from "./drift.ts";
import { planText, secretNames, serviceHome, type HostContext, type HostPlan } from "./host-plan.ts";
import { python, pythonEnvironment } from "./python.ts";
import { secretInput } from "./secrets.ts";

export interface ProcessArgs {
  readonly plan: ServicePlan;
  readonly hostPlan: HostPlan;
  readonly context: HostContext;
  /** Values of the plan's secret holes, by name. */
  readonly secrets: ReadonlyMap<string, pulumi.Output<string>>;
  readonly drift: string | undefined;
  /** What must be ready or done before it starts. */
  readonly dependsOn: readonly pulumi.Resource[];
}

/** Starts a service, or runs a job, on this host; returns what its dependents wait for. The one maker of processes. */
export function runProcess(
  args: ProcessArgs,
  parent: pulumi.ComponentResource,
  componentType: string,
): pulumi.Resource {
  const { plan, context } = args;
  const command = runCommand(args, parent);
  const { check } = plan;
  if (check === undefined) return command;
  const name = `${plan.name}-ready`;
  return new Ready(
    name,
    {
      service: plan.name,
      required: plan.required,
      check,
      timeoutMs: plan.readyTimeoutMs,
      token: command.stdout,
      socket: context.places.supervisorSocket,
      home: serviceHome(context.places, plan.name),
      logFile: plan.logFile,
      progressUrn: urnBelow(componentType, "Ready", name),
    },
    { parent },
  );
}

function runCommand({ plan, hostPlan, context, secrets, drift, dependsOn }: ProcessArgs, parent: pulumi.Resource) {
  const { environment, ignoreChanges } = driftInput(drift);
  const what = plan.run === "job" ? "job" : "service";
  return new local.Command(
    `${plan.name}-${plan.run === "job" ? "run" : "process"}`,
    {
      create: python(`apply.py ${what} start`),
      update: python(`apply.py ${what} start`),
      delete: python(`apply.py ${what} stop`),
      environment: { PLAN: planText(hostPlan), ...pythonEnvironment(context.tools), ...environment },
      stdin: secretInput(secretNames(hostPlan), secrets),
      logging: "none",
      addPreviousOutputInEnv: false,
    },
    { parent, dependsOn: [...dependsOn], ignoreChanges },
  );
}
