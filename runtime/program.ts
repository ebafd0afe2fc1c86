import * as pulumi from "@pulumi/pulumi";
import { RELAY } from "#components/relay.ts";
import { Service, type ServiceArgs } from "#components/service.ts";
import type { GpusSeen } from "#observe/gpu.ts";
import { modelStamp, modelWaitFile } from "#observe/model-wait.ts";
import type { World } from "#observe/world.ts";
import { NOT_HERE } from "#stack/drift.ts";
import type { GpuPlan } from "#stack/gpu.ts";
import type { ServicePlan, StackPlan } from "#stack/plan.ts";
import { problemLine, type Problem } from "#stack/problems.ts";
import { printable, secretsIn } from "#stack/text.ts";
import { runBuild } from "./build.ts";
import { imageLog } from "./container-spec.ts";
import { runExternal } from "./external.ts";
import { runProcess } from "./process.ts";
import { stackSecrets } from "./secrets.ts";
import { runSupervisor } from "./supervisor.ts";

/**
 * Registers the whole stack; the one place where order is set: each service waits for the proofs of what it needs.
 *
 * @param leftOut services that cannot run and are not required, with the reason.
 * @returns what has a value once all of it is through.
 */
export async function registerStack(
  world: World,
  leftOut: ReadonlyMap<string, Problem> = new Map(),
): Promise<pulumi.Output<unknown>> {
  const { plan, context, drift } = world;
  const onHost = plan.services.some((service) => service.in === "host");
  const supervisor = onHost ? [runSupervisor(context, drift.supervisor)] : [];
  const answered = Promise.withResolvers<undefined>();
  const secrets = stackSecrets(plan, answered.promise);
  const builds = new Map(
    plan.builds.map((build) => [build.key, runBuild(build, context, drift.builds.get(build.key))]),
  );
  // Loaded where there are containers: a stack of processes has no use for it.
  const engine = plan.network && (await import("./engine.ts")).runEngineParts(world);
  const { runContainer } = plan.network ? await import("./container.ts") : {};
  const gpus = world.gpus && (await gpuParts(world, world.gpus));
  const ready = new Map<string, pulumi.Resource>();
  for (const service of plan.services) {
    const problem = leftOut.get(service.name);
    if (problem) {
      void pulumi.log.warn(`${service.name} is left out (required: false): ${problemLine(problem)}`);
      continue;
    }
    const reason = drift.services.get(service.name);
    const hostPlan = world.hostPlans.get(service.name);
    const spec = world.containerSpecs.get(service.name);
    const modelDrift = drift.models.get(service.name) ?? new Map<string, string>();
    const common = { plan: service, context, secrets, drift: reason, modelDrift };
    const make: ServiceArgs["make"] = (dependsOn, parent, type) => {
      if (hostPlan) return runProcess({ ...common, hostPlan, dependsOn }, parent, type);
      if (spec && engine && runContainer) {
        const gpu = spec.gpu && gpus?.requestOf(spec.gpu);
        return runContainer({ ...common, spec, dependsOn, network: engine.network, gpu }, parent, type);
      }
      if (service.external) return runExternal({ ...common, dependsOn }, parent, type);
      throw new Error(`no maker for ${service.name}`);
    };
    const needs = service.needs.flatMap((need) => ready.get(need) ?? []);
    const component = new Service({
      plan: service,
      context,
      dependsOn: [...(partsOf(service) ?? []), ...needs],
      make,
      modelStamp: service.model ? modelStamp(service.model.path, modelWaitFile(plan.places, service.name)) : "",
    });
    if (reason !== undefined && reason !== NOT_HERE) {
      const then = service.external ? "up asks it again" : "up puts it right";
      void pulumi.log.warn(`${service.name}: ${reason}; ${then}`, component);
    }
    for (const [model, why] of modelDrift) void pulumi.log.warn(`${service.name}: model ${model}: ${why}`, component);
    for (const words of gpus?.warnings.get(service.name) ?? []) void pulumi.log.warn(words, component);
    ready.set(service.name, component.ready);
    component.urn.apply(() => answered.resolve(undefined));
  }
  if (ready.size === 0) answered.resolve(undefined);
  return pulumi.all([...ready.values()].map((resource) => resource.urn));

  function partsOf(service: ServicePlan): readonly pulumi.Resource[] | undefined {
    switch (service.in) {
      case "host":
        return [...supervisor, ...hostParts(service)];
      case "container":
        return engine?.forContainer(service);
      case "external":
        return [];
    }
  }

  function hostParts({ name, build }: ServicePlan): readonly pulumi.Resource[] {
    const made = build && builds.get(build.key);
    // The relay listens on an address that the network brings.
    return [...(made ? [made] : []), ...(name === RELAY && engine ? engine.all : [])];
  }
}

/** Loaded where a service asks for a GPU. */
async function gpuParts(world: World, seen: GpusSeen) {
  const { requestOf } = await import("#checks/gpu.ts");
  const { gpuWarnings } = await import("#checks/preflight-gpu.ts");
  return { requestOf: (gpu: GpuPlan) => requestOf(gpu, seen), warnings: await gpuWarnings(world, seen) };
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

/** Where the builds of images say why they failed, by resource. */
export const buildLogs = ({ imageBuilds }: StackPlan): ReadonlyMap<string, string> =>
  new Map(imageBuilds.map((build) => [build.resource, imageLog(build)]));
