import { createHash } from "node:crypto";
import { askEngine, EngineError } from "#setup/docker-api.ts";

/** Labels of everything that engineroom has an engine make. */
export const LABEL = {
  stack: "engineroom.stack",
  service: "engineroom.service",
  owner: "engineroom.owner",
  project: "engineroom.project",
  drift: "engineroom.drift",
} as const;

/** One container, ours or not. */
export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Ports of this host that lead into it. */
  readonly ports: readonly number[];
}

/** One container of the stack. */
export interface ContainerSeen {
  readonly id: string;
  readonly state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** Of its main process, as this host counts; 0 when none runs. */
  readonly pid: number;
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  /** Why it could not be started; empty where it could. */
  readonly error: string;
  /** Unix seconds; 0 for never. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** By its restart policy, since it was created. */
  readonly restarts: number;
  readonly fingerprint: Fingerprint;
}

/** Everything about a container that can be set, each part as a hash: two that differ name what was changed. */
export type Fingerprint = Readonly<Record<string, string>>;

/** What the engine has, as one look found it. */
export interface EngineSeen {
  readonly containers: readonly ContainerSummary[];
  readonly networks: readonly { readonly name: string; readonly owner: string; readonly subnets: readonly string[] }[];
  readonly volumes: readonly { readonly name: string; readonly owner: string; readonly dataId: string }[];
  /** `name:tag` */
  readonly images: ReadonlySet<string>;
}

type Labels = Readonly<Record<string, string>> | null;

interface ContainerLine {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Labels: Labels;
  readonly Ports: readonly { readonly PublicPort?: number }[] | null;
}

/** @throws where the engine does not answer. */
export async function lookAtEngine(host: string): Promise<EngineSeen> {
  const [containers, networks, volumes, images] = await Promise.all([
    askEngine<readonly ContainerLine[]>(host, { path: "/containers/json", query: { all: "1" } }),
    askEngine<readonly NetworkLine[]>(host, { path: "/networks" }),
    askEngine<{ readonly Volumes: readonly VolumeLine[] | null }>(host, { path: "/volumes" }),
    askEngine<
      readonly { readonly RepoTags: readonly string[] | null; readonly RepoDigests: readonly string[] | null }[]
    >(host, { path: "/images/json" }),
  ]);
  return {
    containers: containers.map((line) => ({
      id: line.Id,
      name: line.Names[0]?.slice(1) ?? "",
      image: line.Image,
      labels: line.Labels ?? {},
      ports: (line.Ports ?? []).flatMap(({ PublicPort }) => PublicPort ?? []),
    })),
    networks: networks.map(({ Name, Labels, IPAM }) => ({
      name: Name,
      owner: Labels?.[LABEL.owner] ?? "",
      subnets: (IPAM.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []),
    })),
    volumes: (volumes.Volumes ?? []).map((volume) => ({
      name: volume.Name,
      owner: volume.Labels?.[LABEL.owner] ?? "",
      dataId: dataIdOf(volume),
    })),
    images: new Set(images.flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])])),
  };
}

interface NetworkLine {
  readonly Name: string;
  readonly Labels: Labels;
  readonly IPAM: { readonly Config: readonly { readonly Subnet?: string }[] | null };
}

interface VolumeLine {
  readonly Name: string;
  readonly Labels: Labels;
}

/** Why and when it was made: another volume has another time. What the engine calls CreatedAt changes with its content. */
const dataIdOf = ({ Labels }: VolumeLine): string => Labels?.[LABEL.drift] ?? "";

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly RestartCount: number;
  readonly State: {
    readonly Status: ContainerSeen["state"];
    readonly Pid: number;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
  };
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly unknown[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, unknown>> };
}

/** Undefined where there is no such container. */
export async function inspectContainer(host: string, id: string): Promise<ContainerSeen | undefined> {
  try {
    return seenOf(await askEngine<Inspected>(host, { path: `/containers/${encodeURIComponent(id)}/json` }));
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return undefined;
    throw error;
  }
}

/** Changes when the volume is made anew. */
export async function volumeDataId(host: string, name: string): Promise<string> {
  return dataIdOf(await askEngine<VolumeLine>(host, { path: `/volumes/${encodeURIComponent(name)}` }));
}

function seenOf(inspected: Inspected): ContainerSeen {
  const { State: state } = inspected;
  return {
    id: inspected.Id,
    state: state.Status,
    pid: state.Pid,
    exitCode: state.ExitCode,
    isOutOfMemory: state.OOMKilled,
    error: state.Error,
    startedAt: seconds(state.StartedAt),
    endedAt: seconds(state.FinishedAt),
    restarts: inspected.RestartCount,
    fingerprint: fingerprintOf(inspected),
  };
}

/** The engine writes the year 1 for never. */
const seconds = (time: string): number => Math.max(0, Date.parse(time) / 1000 || 0);

/** What `docker update`, `docker rename` and `docker network` change has a name of its own. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  memory: ["Memory", "MemorySwap", "MemoryReservation"],
  cpus: ["NanoCpus", "CpuQuota", "CpuPeriod", "CpuShares", "CpusetCpus", "CpusetMems"],
  "restart policy": ["RestartPolicy"],
};

function fingerprintOf({ Name, Image, Config, HostConfig, Mounts, NetworkSettings }: Inspected): Fingerprint {
  const named = new Set(Object.values(NAMED).flat());
  const others = Object.entries(HostConfig).filter(([key]) => !named.has(key));
  const parts: Readonly<Record<string, unknown>> = {
    name: Name,
    image: Image,
    settings: [Config, others, Mounts.map((mount) => JSON.stringify(mount)).sort()],
    networks: Object.keys(NetworkSettings.Networks).sort(),
    ...Object.fromEntries(Object.entries(NAMED).map(([name, keys]) => [name, keys.map((key) => HostConfig[key])])),
  };
  return Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, shortHash(value)]));
}

const shortHash = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);

/** Names of the parts that differ. */
export const changesIn = (noted: Fingerprint, now: Fingerprint): readonly string[] =>
  Object.keys(now).filter((part) => noted[part] !== now[part]);
