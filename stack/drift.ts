import { findModel } from "#checks/ollama.ts";
import { changesIn, type ContainerSeen } from "#observe/docker.ts";
import type { Observation, ServiceSeen } from "#observe/observe.ts";
import type { PlannedVolume, ServicePlan, StackPlan } from "./plan.ts";

/** Why something must be made so again, though its settings did not change; by resource: services, builds, `supervisor`. */
export interface Drift {
  readonly supervisor: string | undefined;
  readonly services: ReadonlyMap<string, string>;
  readonly builds: ReadonlyMap<string, string>;
  /** Of models that a running server is given, by service and model. */
  readonly models: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly network: string | undefined;
  /** Containers of ours that no state may know. */
  readonly leftovers: string | undefined;
  /** By name of the volume. */
  readonly volumes: ReadonlyMap<string, string>;
}

/**
 * The reason for what does not stand on this host at all. Most often it is new, and the value of a first create is
 * kept; but where the state still has it (somebody removed the stack's directory), it must be made again.
 */
export const NOT_HERE = "it does not stand on this host";

/**
 * Compares the plan with what was seen.
 * @param planHashes SHA-256 of each service's host plan, by service.
 */
export function findDrift(plan: StackPlan, seen: Observation, planHashes: ReadonlyMap<string, string>): Drift {
  const { supervisor } = seen;
  const reasons = plan.services.flatMap((service) => {
    const found = seen.services.get(service.name);
    if (!found) return [];
    if (!found.stands) return [[service.name, NOT_HERE] as const];
    const hash = planHashes.get(service.name);
    const reason =
      service.run === "job"
        ? jobDrift(found, seen, hash)
        : service.in === "external"
          ? externalDrift(service, found)
          : service.in === "container"
            ? containerDrift(found, seen)
            : serviceDrift(service, found, seen, hash);
    return reason === undefined ? [] : [[service.name, reason] as const];
  });
  return {
    supervisor: supervisorDrift(supervisor),
    services: new Map(reasons),
    builds: new Map(
      [...plan.builds, ...plan.imageBuilds]
        .filter((build) => !seen.builds.has(build.key) && !("reference" in build && isNewer(build, plan, seen)))
        .map((build) => [build.key, absence(usersOf(build, plan), seen.services)]),
    ),
    models: new Map(
      plan.services.flatMap((service) => {
        const missing = missingModels(service, seen);
        return missing.size === 0 ? [] : [[service.name, missing] as const];
      }),
    ),
    ...engineDrift(plan, seen),
  };
}

/** A container stands on another content of it: this one is a change and no loss, and that one is still in use. */
function isNewer(build: StackPlan["imageBuilds"][number], plan: StackPlan, { engine, services }: Observation): boolean {
  if (engine.state !== "running") return false;
  const ids = new Set(usersOf(build, plan).map(({ name }) => services.get(name)?.container?.id));
  const [repository = ""] = build.reference.split(":");
  return engine.containers.some(
    ({ id, image }) => ids.has(id) && image !== build.reference && image.startsWith(`${repository}:`),
  );
}

const usersOf = ({ key }: { readonly key: string }, { services }: StackPlan): readonly ServicePlan[] =>
  services.filter(({ container }) => container?.image.from === "build" && container.image.build.key === key);

/** Of a server that does not answer nothing is said: it is started anew, and its models are looked at then. */
function missingModels({ name, serves = [] }: ServicePlan, { services }: Observation): ReadonlyMap<string, string> {
  const there = services.get(name)?.models;
  if (there === undefined) return new Map();
  const missing = serves.filter((model) => findModel(there, model.name) === undefined);
  return new Map(missing.map((model) => [model.name, "the server does not have it; up brings it"]));
}

function engineDrift(
  { network, services }: StackPlan,
  { engine, services: seen }: Observation,
): Pick<Drift, "network" | "volumes" | "leftovers"> {
  if (engine.state !== "running") return { network: undefined, volumes: new Map(), leftovers: undefined };
  const missing = ({ name }: PlannedVolume): boolean => !engine.volumes.some((volume) => volume.name === name);
  const unknown = services.filter(({ name }) => {
    const { container, noted } = seen.get(name) ?? {};
    return container && container.id !== noted?.id;
  });
  return {
    leftovers:
      unknown.length === 0
        ? undefined
        : `containers of ${unknown.map(({ name }) => name).join(", ")} that were not noted`,
    network: engine.networks.some(({ name }) => name === network?.name) ? undefined : absence(services, seen),
    volumes: new Map(
      services.flatMap((service) =>
        (service.container?.volumes ?? [])
          .filter(missing)
          .map((volume) => [volume.name, absence([service], seen)] as const),
      ),
    ),
  };
}

/** What a container that was proven has used is gone; otherwise it is new. */
const absence = (users: readonly ServicePlan[], seen: Observation["services"]): string =>
  users.some(({ name }) => seen.get(name)?.noted) ? "it is gone" : NOT_HERE;

/** What is not required and does not answer is waited for once. */
function externalDrift({ required }: ServicePlan, { edited, external }: ServiceSeen): string | undefined {
  if (edited.length > 0) return `edited by hand: ${edited.join(", ")}`;
  return required && external && external.status !== "ready" ? external.reason : undefined;
}

function containerDrift(seen: ServiceSeen, { engine }: Observation): string | undefined {
  const { container, noted } = seen;
  if (engine.state !== "running") return undefined;
  if (!noted) return "the last change was not completed";
  if (!container) return `its container ${shortId(noted.id)} is gone`;
  if (container.id !== noted.id) {
    return `its container ${shortId(noted.id)} was replaced by ${shortId(container.id)}, not by engineroom`;
  }
  if (seen.edited.length > 0) return `edited by hand: ${seen.edited.join(", ")}`;
  const changes = changesIn(noted.fingerprint, container.fingerprint);
  if (changes.length > 0) return `its container was changed, not by engineroom: ${changes.join(", ")}`;
  return containerTrouble(container);
}

/** As the engine's own command line shows it. */
export const shortId = (id: string): string => id.slice(0, 12);

/** Why a container that should run does not; one that the engine starts again does. */
export function containerTrouble(container: ContainerSeen): string | undefined {
  switch (container.state) {
    case "running":
    case "restarting":
      return undefined;
    case "created":
      return container.error === "" ? "it was never started" : `it could not be started: ${container.error}`;
    case "paused":
      return "it is paused";
    case "removing":
      return "it is being removed";
    case "exited":
    case "dead":
      return container.error === ""
        ? `${containerEnd(container)} at ${clock(container.endedAt)}`
        : `it could not be started again: ${container.error}`;
  }
}

/** `exited with code 1`; the engine reports a signal as 128 and its number. */
export const containerEnd = ({ exitCode, isOutOfMemory }: ContainerSeen): string =>
  isOutOfMemory ? "killed, out of memory" : exitCode === 137 ? "killed" : `exited with code ${exitCode}`;

function supervisorDrift(supervisor: Observation["supervisor"]): string | undefined {
  switch (supervisor.state) {
    case "down":
      return `supervisord does not answer (${supervisor.reason})`;
    case "absent":
      return NOT_HERE;
    case "running":
    case "foreign":
      return undefined;
  }
}

function serviceDrift(
  service: ServicePlan,
  seen: ServiceSeen,
  { supervisor }: Observation,
  planHash: string | undefined,
): string | undefined {
  if (supervisor.state !== "running") return "supervisord is down";
  if (seen.appliedPlan === undefined) return "the last change was not completed";
  if (seen.appliedPlan !== planHash) return "the last up applied another plan";
  if (seen.edited.length > 0) return `edited by hand: ${seen.edited.join(", ")}`;
  return programDrift(service, seen);
}

/** Why a program that should run does not. */
export function programDrift(
  { restart }: Pick<ServicePlan, "restart">,
  { program, history }: Pick<ServiceSeen, "program" | "history">,
): string | undefined {
  if (!program) return "supervisord does not know it";
  switch (program.state) {
    case "RUNNING":
    case "STARTING":
    case "BACKOFF":
    case "STOPPING":
      return undefined;
    case "STOPPED":
      return `stopped at ${clock(program.stoppedAt)}`;
    case "FATAL":
    case "UNKNOWN":
      return program.spawnError || "could not be started";
    case "EXITED":
      return history.gaveUpAt === undefined
        ? `${exitWords(program.exitStatus)} at ${clock(program.stoppedAt)}${restart === "no" ? " (restart: no)" : ""}`
        : `gave up at ${clock(history.gaveUpAt)}: it ended soon after each of ${history.restarts + 1} starts`;
  }
}

/** supervisord notes -1 for a process that a signal ended. */
const exitWords = (status: number): string => (status === -1 ? "killed by a signal" : `exited with code ${status}`);

function jobDrift(
  seen: ServiceSeen,
  { services, engine }: Observation,
  planHash: string | undefined,
): string | undefined {
  if (!seen.done) return "it has not succeeded yet";
  if (seen.done.plan !== planHash) return "the last up ran another plan";
  const renewed = Object.entries(seen.done.data).filter(([name, id]) => {
    const now = services.get(name)?.dataId;
    // An engine that is down shows no data.
    return now !== id && !(now === undefined && engine.state === "down");
  });
  return renewed.length === 0
    ? undefined
    : `the data of ${renewed.map(([name]) => name).join(", ")} is not what it ran on`;
}

/** Local time of day. */
export const clock = (seconds: number): string => new Date(seconds * 1000).toTimeString().slice(0, 8);
