import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { World } from "#observe/world.ts";
import { containerSpec } from "#runtime/container-spec.ts";
import { hostPlan } from "#runtime/host-plan.ts";
import { registerStack } from "#runtime/program.ts";
import type { LoadContext, RawStack } from "#stack/load.ts";
import { context, planOf } from "./stack.ts";

export interface Registered {
  readonly type: string;
  readonly name: string;
  /** Name of the resource above it. */
  readonly parent: string | undefined;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Inputs that are secret as a whole. */
  readonly secretInputs: readonly string[];
  readonly dependsOn: readonly string[];
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly deleteBeforeReplace: boolean;
  /** Its deletion is left out: what it stands for stays. */
  readonly retainOnDelete: boolean;
  readonly additionalSecretOutputs: readonly string[];
}

/** The world of a stack that runs as it should. */
export function worldOf(raw: RawStack, where: LoadContext = context): World {
  const plan = planOf(raw, where);
  const hosts = { host: where.host, places: where.places, tools: where.tools };
  return {
    plan,
    context: hosts,
    hostPlans: new Map(
      plan.services
        .filter((service) => service.in === "host")
        .map((service) => [service.name, hostPlan(service, plan.services, hosts)]),
    ),
    containerSpecs: new Map(
      plan.services.flatMap((service) => {
        const spec = containerSpec(service, plan);
        return spec ? [[service.name, spec] as const] : [];
      }),
    ),
    engineHost: "unix:///var/run/docker.sock",
    seen: {
      supervisor: { state: "running" },
      engine: { state: "unused" },
      services: new Map(),
      builds: new Set(),
    },
    drift: noDrift,
  };
}

export const noDrift: World["drift"] = {
  supervisor: undefined,
  services: new Map(),
  builds: new Map(),
  models: new Map(),
  network: undefined,
  leftovers: undefined,
  volumes: new Map(),
};

/** What the request of a registration says, as far as it is looked at here. */
interface Request {
  readonly getType: () => string;
  readonly getName: () => string;
  readonly getParent: () => string;
  readonly getObject: () => { readonly toJavaScript: () => Record<string, unknown> };
  readonly getDependenciesList: () => readonly string[];
  readonly getIgnorechangesList: () => readonly string[];
  readonly getReplaceonchangesList: () => readonly string[];
  readonly getDeletebeforereplace: () => boolean;
  readonly getRetainondelete: () => boolean | undefined;
  readonly getAdditionalsecretoutputsList: () => readonly string[];
}

/**
 * What the program hands to the engine for a world. The engine is a mock that gives each resource outputs which change
 * when its inputs do, so that what follows from a change shows as in a preview.
 */
export async function register(
  world: World,
  preview = false,
  leftOut?: Parameters<typeof registerStack>[1],
): Promise<ReadonlyMap<string, Registered>> {
  const found = new Map<string, Registered>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => ({
        id: idOf(type, name, inputs as object),
        state: outputsOf(type, name, inputs as object),
      }),
      call: () => ({}),
    },
    "engineroom",
    world.plan.places.stack,
    preview,
  );
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource: (request: Request, ...rest: never[]) => unknown;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, ...rest) => {
    found.set(request.getName(), noted(request));
    return register(request, ...rest);
  };
  await registerStack(world, leftOut);
  await pulumi.runtime.disconnect();
  return found;
}

const nameOf = (urn: string): string => urn.split("::").at(-1) ?? "";

function noted(request: Request): Registered {
  const inputs = request.getObject().toJavaScript();
  return {
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent() === "" ? undefined : nameOf(request.getParent()),
    inputs,
    secretInputs: Object.keys(inputs).filter((key) => isSecret(inputs[key])),
    dependsOn: request.getDependenciesList().map(nameOf).sort(),
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
    deleteBeforeReplace: request.getDeletebeforereplace(),
    retainOnDelete: request.getRetainondelete() ?? false,
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
  };
}

/** How Pulumi marks a value on its way to the engine. */
const isSecret = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "4dabf18193072939515e22adb298388d" in value;

/** The engine of containers makes another one for other inputs. */
const idOf = (type: string, name: string, inputs: object): string =>
  type.startsWith("docker:") ? `${name}-${hashOf(inputs)}` : `${name}-id`;

const hashOf = (inputs: object): string => createHash("sha256").update(JSON.stringify(inputs)).digest("hex");

/** A command's token, a secret's value and the time of a model are new when what they were made from is. */
function outputsOf(type: string, name: string, inputs: object): Record<string, unknown> {
  const hash = hashOf(inputs);
  if (type === "command:local:Command") return { ...inputs, stdout: name === "network" ? `network-${hash}` : hash };
  if (type.endsWith(":OllamaModel")) return { ...inputs, madeAt: hash };
  return type.endsWith(":GeneratedSecret") ? { ...inputs, value: `made for ${name} ${hash}` } : { ...inputs };
}
