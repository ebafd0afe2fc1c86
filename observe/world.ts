import { realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { containerSpec, workHash, type ContainerSpec } from "#runtime/container-spec.ts";
import { hostPlan, planHash, type HostContext, type HostPlan } from "#runtime/host-plan.ts";
import { engineHost } from "#setup/docker-api.ts";
import { readImages } from "#setup/image-references.ts";
import { serviceAccount } from "#setup/system-user.ts";
import { readTools } from "#setup/tools.ts";
import { findDrift, type Drift } from "#stack/drift.ts";
import { loadStack } from "#stack/load.ts";
import { hostPlaces, projectPlaces, stackPlaces, type StackPlaces } from "#stack/places.ts";
import type { StackPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { sectionsOf, withoutValues, type StackConfig } from "#stack/sections.ts";
import { readEnvFiles, readSources } from "#stack/sources.ts";
import type { GpusSeen } from "./gpu.ts";
import { observe, type Observation } from "./observe.ts";

/** A stack's plan on this host. */
export interface Opened {
  readonly plan: StackPlan;
  readonly context: HostContext;
  /** Of services on this host. */
  readonly hostPlans: ReadonlyMap<string, HostPlan>;
  /** Of services in containers. */
  readonly containerSpecs: ReadonlyMap<string, ContainerSpec>;
  /** Where the engine listens, as a URL. */
  readonly engineHost: string;
}

/** A stack as it should be and as it is. */
export interface World extends Opened {
  readonly seen: Observation;
  /** Where a service asks for a GPU. */
  readonly gpus?: GpusSeen;
  readonly drift: Drift;
}

export interface OpenOptions {
  readonly config: StackConfig;
  readonly stack: string;
  readonly projectDir: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Plans a stack from its configuration. Reads the sources of its builds, its files of variables and the list of installed tools, no more. */
export function openStack(options: OpenOptions): Opened | { readonly problems: readonly Problem[] } {
  const { raw, problems } = sectionsOf(options.config);
  const projectDir = realpathSync(options.projectDir);
  const { uid, gid, username } = userInfo();
  const account = uid === 0 ? (serviceAccount() ?? { uid, gid }) : { uid, gid };
  const host = hostPlaces(options.env, uid);
  const places = placesOf(options, raw.settings);
  const tools = readTools(host.cacheDir);
  const sources = readSources(raw, projectDir);
  const loaded = loadStack(raw, {
    host,
    places,
    tools,
    images: readImages(host.cacheDir),
    account: username,
    accountIds: `${account.uid}:${account.gid}`,
    bytesOf: (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    sources,
    envFiles: readEnvFiles(raw, projectDir),
  });
  const found = [
    ...problems,
    ...("problems" in loaded ? loaded.problems.map((problem) => withoutValues(problem, options.config)) : []),
  ];
  if (found.length > 0 || "problems" in loaded) return { problems: found };
  const context = { host, places, tools };
  const { services } = loaded.plan;
  const onHost = services.filter((service) => service.in === "host");
  return {
    plan: loaded.plan,
    context,
    hostPlans: new Map(onHost.map((service) => [service.name, hostPlan(service, services, context)])),
    containerSpecs: new Map(
      services.flatMap((service) => {
        const spec = containerSpec(service, loaded.plan);
        return spec ? [[service.name, spec] as const] : [];
      }),
    ),
    engineHost: engineHost(options.env),
  };
}

/** Where a stack keeps things; `settings.id` counts even while the rest of the file is wrong. */
export function placesOf({ stack, projectDir, env }: Omit<OpenOptions, "config">, settings: unknown): StackPlaces {
  const id = (settings as { id?: unknown } | undefined)?.id;
  const host = hostPlaces(env, userInfo().uid);
  const project = projectPlaces(host, realpathSync(projectDir), typeof id === "string" ? id : undefined);
  return stackPlaces(host, project, stack);
}

/** One look at the running world. */
export async function lookAround(opened: Opened): Promise<World> {
  const { plan, engineHost } = opened;
  const [seen, gpus] = await Promise.all([
    observe(plan, engineHost),
    // Loaded where a service asks for one.
    plan.services.some(({ gpu }) => gpu) && import("./gpu.ts").then((module) => module.lookForGpus(plan, engineHost)),
  ]);
  const hashes = new Map([
    ...[...opened.hostPlans].map(([name, plan]) => [name, planHash(plan)] as const),
    ...[...opened.containerSpecs].map(([name, spec]) => [name, workHash(spec)] as const),
  ]);
  return { ...opened, seen, ...(gpus && { gpus }), drift: findDrift(plan, seen, hashes) };
}
