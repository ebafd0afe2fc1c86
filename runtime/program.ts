import * as pulumi from "@pulumi/pulumi";
import { Service } from "#components/service.ts";
import { fileStamp, type World } from "#observe/world.ts";
import { NOT_HERE } from "#stack/drift.ts";
import type { ServicePlan } from "#stack/plan.ts";
import { printable, secretsIn } from "#stack/text.ts";
import { runBuild } from "./build.ts";
import { stackSecrets } from "./secrets.ts";
import { runSupervisor } from "./supervisor.ts";

/** Registers the whole stack; the one place where order is set: each service waits for the proofs of what it needs. */
export function registerStack({ plan, context, hostPlans, drift }: World): void {
  const supervisor = runSupervisor(context, drift.supervisor);
  const answered = Promise.withResolvers<undefined>();
  const secrets = stackSecrets(plan, answered.promise);
  const builds = new Map(
    plan.builds.map((build) => [build.key, runBuild(build, context, drift.builds.get(build.key))]),
  );
  const ready = new Map<string, pulumi.Resource>();
  for (const service of plan.services) {
    const hostPlan = hostPlans.get(service.name);
    if (!hostPlan) throw new Error(`no host plan for ${service.name}`);
    const build = service.build && builds.get(service.build.key);
    const component = new Service({
      plan: service,
      hostPlan,
      context,
      secrets,
      drift: drift.services.get(service.name),
      dependsOn: [supervisor, ...(build ? [build] : []), ...service.needs.flatMap((need) => ready.get(need) ?? [])],
      modelStamp: service.model ? fileStamp(service.model.path) : "",
    });
    const reason = drift.services.get(service.name);
    if (reason !== undefined && reason !== NOT_HERE)
      void pulumi.log.warn(`${service.name}: ${reason}; up puts it right`, component);
    ready.set(service.name, component.ready);
    component.urn.apply(() => answered.resolve(undefined));
  }
  if (plan.services.length === 0) answered.resolve(undefined);
}

/** What `pulumi stack output` shows: each service's outputs without those that hold a secret. */
export const publicOutputs = (services: readonly ServicePlan[]): Record<string, Record<string, string>> =>
  Object.fromEntries(
    services
      .map(
        (service) =>
          [
            service.name,
            Object.fromEntries(
              Object.entries(service.outputs)
                .filter(([, text]) => secretsIn(text).length === 0)
                .map(([key, text]) => [key, printable(text)]),
            ),
          ] as const,
      )
      .filter(([, outputs]) => Object.keys(outputs).length > 0),
  );
