import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Outcome } from "#checks/check.ts";
import type { ListedModel } from "#checks/ollama.ts";
import { runCheck } from "#checks/run.ts";
import { doneFile } from "#stack/load.ts";
import { filesDir } from "#stack/containers.ts";
import type { StackPlaces } from "#stack/places.ts";
import type { ServicePlan, StackPlan } from "#stack/plan.ts";
import {
  inspectContainer,
  LABEL,
  lookAtEngine,
  type ContainerSeen,
  type ContainerSummary,
  type EngineSeen,
  type Fingerprint,
} from "./docker.ts";
import { readJson, readStartHistory, readText, type StartHistory } from "./records.ts";
import { identification, programStates, type ProgramState } from "./supervisord.ts";

/** The running world, as one look found it. */
export interface Observation {
  readonly supervisor: SupervisorSeen;
  readonly engine: EngineState;
  readonly services: ReadonlyMap<string, ServiceSeen>;
  /** Keys of the builds that stand ready, of images too. */
  readonly builds: ReadonlySet<string>;
}

export type EngineState =
  /** No service is a container. */
  | { readonly state: "unused" }
  | ({ readonly state: "running" } & EngineSeen)
  | { readonly state: "down"; readonly reason: string };

export type SupervisorSeen =
  | { readonly state: "running" }
  /** Never started here, or taken down. */
  | { readonly state: "absent" }
  /** Its settings are there, and it does not answer. */
  | { readonly state: "down"; readonly reason: string }
  | { readonly state: "foreign"; readonly owner: string };

export interface ServiceSeen {
  /** Its own directory is there. */
  readonly stands: boolean;
  /** What supervisord says; undefined where it knows no such program, and for a job. */
  readonly program?: ProgramState;
  /** SHA-256 of the plan that was applied last; undefined where an apply never ended. */
  readonly appliedPlan?: string;
  /** Files that are not as the last apply wrote them. */
  readonly edited: readonly string[];
  readonly history: StartHistory;
  /** Of a job that succeeded. */
  readonly done?: DoneMark;
  /** Id of the service's data, where it has any. */
  readonly dataId?: string;
  /** Container that has its name. */
  readonly container?: ContainerSeen;
  /** One that has its name and is not of this stack. */
  readonly stranger?: ContainerSummary;
  /** Models that its server lists; undefined where none answers. */
  readonly models?: readonly ListedModel[];
  /** Of a service that somebody else runs: what its check found just now. */
  readonly external?: Outcome;
  /** What Ready noted of the container that it proved. */
  readonly noted?: ContainerNote;
}

/** A container as it was when it was proven: `<containers>/<service>/container.json`. */
export interface ContainerNote {
  readonly id: string;
  readonly fingerprint: Fingerprint;
}

export interface DoneMark {
  /** SHA-256 of the plan that ran. */
  readonly plan: string;
  /** Data ids that it ran against, by service. */
  readonly data: Readonly<Record<string, string>>;
  /** Unix seconds. */
  readonly at: number;
}

export async function observe(plan: StackPlan, engineHost: string): Promise<Observation> {
  const { places } = plan;
  const [{ seen, programs }, engine, models, externals] = await Promise.all([
    lookAtSupervisor(places),
    engineState(plan, engineHost),
    listedModels(plan),
    askExternals(plan),
  ]);
  const containers = await ourContainers(plan, engine, engineHost);
  return {
    supervisor: seen,
    engine,
    services: new Map(
      plan.services.map((service) => {
        const program = programs.get(service.name);
        const own =
          externals.get(service.name) ??
          (service.in === "host" ? processSeen(service, places) : containerSeen(service, places, engine));
        const done = service.run === "job" ? markOf<DoneMark>(doneFile(places, service), "data") : undefined;
        const container = containers.get(service.name);
        const listed = models.get(service.name);
        return [
          service.name,
          {
            ...own,
            ...(program && { program }),
            ...(done && { done }),
            ...(container && { container }),
            ...(listed && { models: listed }),
          },
        ];
      }),
    ),
    builds: new Set([
      ...plan.builds.filter((build) => existsSync(`${build.target}/.done`)).map((build) => build.key),
      ...plan.imageBuilds
        .filter(({ reference }) => engine.state === "running" && engine.images.has(reference))
        .map((build) => build.key),
    ]),
  };
}

/** What a server has, and whether it works, it says at once; one that does not is not waited for. */
const LIST_MS = 1000;

async function listedModels({ services }: StackPlan): Promise<ReadonlyMap<string, readonly ListedModel[]>> {
  const asked = services.map(async ({ name, check, serves }) => {
    if (check?.kind !== "ollama" || !serves) return [];
    const { listModels } = await import("#checks/ollama.ts");
    const models = await listModels(check.url, AbortSignal.timeout(LIST_MS));
    return models ? [[name, models] as const] : [];
  });
  return new Map((await Promise.all(asked)).flat());
}

async function askExternals({ services, places }: StackPlan): Promise<ReadonlyMap<string, ServiceSeen>> {
  const asked = services.map(async ({ name, in: place, check, files }) => {
    if (place !== "external" || check === undefined) return [];
    const written = lookAtFiles(dirname(filesDir(places, name)));
    // Before the first `up` its password is nowhere.
    const stands = files.length === 0 || written.appliedPlan !== undefined;
    const report = stands && (await runCheck(check, { timeoutMs: 0, attemptMs: LIST_MS }, { quick: true }));
    const history = { starts: [], restarts: 0 };
    return [[name, { stands, ...written, history, ...(report && { external: report.outcome }) }] as const];
  });
  return new Map((await Promise.all(asked)).flat());
}

function processSeen(service: ServicePlan, places: StackPlaces): ServiceSeen {
  const home = `${places.servicesDir}/${service.name}`;
  const dataId = service.dataIdFile ? readText(service.dataIdFile)?.trim() : undefined;
  return {
    stands: existsSync(home),
    ...lookAtFiles(home),
    history: readStartHistory(home),
    ...(dataId && { dataId }),
  };
}

function containerSeen(service: ServicePlan, places: StackPlaces, engine: EngineState): ServiceSeen {
  const home = `${places.containersDir}/${service.name}`;
  const noted = readJson(`${home}/container.json`) as ContainerNote | undefined;
  const volumes = engine.state === "running" ? engine.volumes : [];
  const dataId = volumes.find(({ name }) => name === service.container?.volumes[0]?.name)?.dataId;
  const stranger = named(service, engine).find(({ labels }) => labels[LABEL.owner] !== places.owner);
  return {
    stands: existsSync(home),
    ...lookAtFiles(dirname(filesDir(places, service.name))),
    history: { starts: [], restarts: 0 },
    ...(dataId && { dataId }),
    ...(noted && { noted }),
    ...(stranger && { stranger }),
  };
}

const named = ({ container }: ServicePlan, engine: EngineState): readonly ContainerSummary[] =>
  engine.state === "running" ? engine.containers.filter(({ name }) => name === container?.name) : [];

async function engineState(plan: StackPlan, host: string): Promise<EngineState> {
  if (!plan.network) return { state: "unused" };
  try {
    return { state: "running", ...(await lookAtEngine(host)) };
  } catch (error) {
    return { state: "down", reason: (error as NodeJS.ErrnoException).code ?? (error as Error).message };
  }
}

/** By service: the containers that have our names and our mark. */
async function ourContainers(
  { services, places }: StackPlan,
  engine: EngineState,
  host: string,
): Promise<ReadonlyMap<string, ContainerSeen>> {
  const found = services.flatMap((service) =>
    named(service, engine)
      .filter(({ labels }) => labels[LABEL.owner] === places.owner)
      .map(async ({ id }) => [service.name, await inspectContainer(host, id)] as const),
  );
  return new Map((await Promise.all(found)).flatMap(([name, seen]) => (seen ? [[name, seen] as const] : [])));
}

const configOf = (places: StackPlaces): string => `${places.stackDir}/supervisord.conf`;

async function lookAtSupervisor(
  places: StackPlaces,
): Promise<{ readonly seen: SupervisorSeen; readonly programs: ReadonlyMap<string, ProgramState> }> {
  try {
    const [owner, states] = await Promise.all([
      identification(places.supervisorSocket),
      programStates(places.supervisorSocket),
    ]);
    if (owner !== places.owner) return { seen: { state: "foreign", owner }, programs: new Map() };
    if (!existsSync(configOf(places))) {
      // Somebody removed the stack's directory under a living supervisord, which must begin anew.
      return { seen: { state: "down", reason: "its settings are gone" }, programs: new Map() };
    }
    return { seen: { state: "running" }, programs: new Map(states.map((state) => [state.name, state])) };
  } catch (error) {
    const started = existsSync(configOf(places));
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return { seen: started ? { state: "down", reason } : { state: "absent" }, programs: new Map() };
  }
}

/** The mark that apply.py leaves when it is through. */
interface InstalledMark {
  readonly plan: string;
  readonly files: Readonly<Record<string, string>>;
}

function lookAtFiles(home: string): Pick<ServiceSeen, "appliedPlan" | "edited"> {
  const mark = markOf<InstalledMark>(`${home}/installed.json`, "files");
  if (!mark) return { edited: [] };
  return {
    appliedPlan: mark.plan,
    edited: Object.entries(mark.files).flatMap(([path, hash]) => (sha256(readText(path) ?? "") === hash ? [] : [path])),
  };
}

/** A mark that is damaged counts as none: then what it marked is done again. */
function markOf<Mark extends { readonly plan: string }>(path: string, map: keyof Mark & string): Mark | undefined {
  const mark = readJson(path) as Partial<Record<string, unknown>> | undefined;
  const inner = mark?.[map];
  const whole = typeof mark?.["plan"] === "string" && typeof inner === "object" && inner !== null;
  return whole ? (mark as unknown as Mark) : undefined;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
