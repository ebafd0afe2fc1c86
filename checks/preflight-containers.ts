import { shortId } from "#stack/drift.ts";
import type { EngineSeen } from "#observe/docker.ts";
import type { World } from "#observe/world.ts";
import { readText } from "#observe/records.ts";
import { findEngine, judgeEngine, lookHere } from "#setup/docker.ts";
import { commonImages } from "#setup/image-references.ts";
import type { Problem } from "#stack/problems.ts";
import { overlaps, routesIn, type Subnet } from "#checks/subnets.ts";

/** Everything about the engine that would make `up` fail. Changes nothing. */
export async function containerProblems(world: World): Promise<readonly Problem[]> {
  const { plan, seen } = world;
  if (!plan.network) return [];
  const [engine, local] = [seen.engine, localEngine(world)];
  if (local.length > 0) return local;
  const judged = judgeEngine(await findEngine({ ...process.env, DOCKER_HOST: world.engineHost }), lookHere());
  if (engine.state !== "running") return judged;
  return [
    ...judged,
    ...world.plan.services.flatMap((service) => strangerProblem(world, service.name)),
    ...networkProblems(world, engine),
    ...volumeProblems(world, engine),
    ...imageProblems(world, engine),
  ];
}

/** Checks go to ports of this host, and files are mounted from it. */
function localEngine({ engineHost }: World): readonly Problem[] {
  if (engineHost.startsWith("unix://")) return [];
  return [
    {
      code: "DOCKER_REMOTE",
      where: "DOCKER_HOST",
      expected: "an engine of this machine: unix://PATH",
      got: engineHost,
      fix: "unset DOCKER_HOST, or run engineroom on that machine",
    },
  ];
}

function strangerProblem({ plan, seen }: World, name: string): readonly Problem[] {
  const stranger = seen.services.get(name)?.stranger;
  if (!stranger) return [];
  const owner = stranger.labels["engineroom.owner"];
  return [
    {
      code: "CONTAINER_FOREIGN",
      where: `services.${name}`,
      expected: `no container ${stranger.name}, or one of owner ${plan.places.owner}`,
      got: `${shortId(stranger.id)} (${stranger.image}) of ${owner ? `owner ${owner}` : "nobody that engineroom knows"}`,
      fix: `remove or rename it yourself, or set services.${name}.containerName`,
    },
  ];
}

function networkProblems({ plan }: World, engine: EngineSeen): readonly Problem[] {
  const { network, places } = plan;
  if (!network) return [];
  const own = engine.networks.find(({ name }) => name === network.name);
  if (own && own.owner !== places.owner) {
    return [
      {
        code: "NETWORK_FOREIGN",
        where: "settings.networkName",
        expected: `no network ${network.name}, or one of owner ${places.owner}`,
        got: `one of ${own.owner ? `owner ${own.owner}` : "nobody that engineroom knows"}`,
        fix: `docker network rm ${network.name} if nothing needs it, or set settings.networkName`,
      },
    ];
  }
  const others = engine.networks
    .filter(({ name }) => name !== network.name)
    .flatMap(({ name, subnets }) => subnets.map((subnet) => ({ subnet, who: `the network ${name}` })));
  const taken = [...others, ...(own ? [] : hostRoutes())].find(({ subnet }) => overlaps(subnet, network.subnet));
  if (!taken) return [];
  return [
    {
      code: "SUBNET_TAKEN",
      where: "settings.subnet",
      expected: `${network.subnet} to be free, for the stack's network`,
      got: `${taken.subnet} of ${taken.who}`,
      fix: "set settings.subnet to another one, such as 10.199.7.0/24",
    },
  ];
}

const hostRoutes = (): readonly { readonly subnet: Subnet; readonly who: string }[] =>
  routesIn(readText("/proc/net/route") ?? "").map(({ subnet, device }) => ({ subnet, who: `this host's ${device}` }));

function volumeProblems({ plan }: World, engine: EngineSeen): readonly Problem[] {
  return plan.services.flatMap((service) =>
    (service.container?.volumes ?? []).flatMap(({ name }) => {
      const found = engine.volumes.find((volume) => volume.name === name);
      if (!found || found.owner === plan.places.owner) return [];
      return {
        code: "VOLUME_FOREIGN",
        where: `services.${service.name}.volumeName`,
        expected: `no volume ${name}, or one of owner ${plan.places.owner}`,
        got: `one of ${found.owner ? `owner ${found.owner}` : "nobody that engineroom knows"}`,
        fix: `set services.${service.name}.volumeName to another name`,
      };
    }),
  );
}

/** What set-up makes or pulls; a user's own image the provider pulls. */
function imageProblems({ plan }: World, engine: EngineSeen): readonly Problem[] {
  const wanted = new Map(
    plan.services.flatMap(({ container }) =>
      container?.image.from === "set-up" ? [[container.image.reference, container.image.name] as const] : [],
    ),
  );
  return [...wanted]
    .filter(([reference]) => !engine.images.has(reference) && !engine.images.has(withoutTag(reference)))
    .map(([reference, name]) => ({
      code: "IMAGE_MISSING",
      where: `image ${name}`,
      expected: `the engine to have ${reference}`,
      got: "no such image",
      fix: commonImages.some((common) => common === name) ? "./engineroom setup --docker" : "./engineroom up gets it",
    }));
}

/** The engine lists `name:tag@digest` as `name@digest`. */
const withoutTag = (reference: string): string => reference.replace(/:[\w.-]+@/, "@");
