import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { LABEL } from "#observe/docker.ts";
import { CONTAINER_HOME, filesDir } from "#stack/containers.ts";
import type { GpuPlan } from "#stack/gpu.ts";
import {
  HOST_NAME,
  type ImageBuildPlan,
  type PlannedFile,
  type PlannedVolume,
  type ReloadPlan,
  type ServicePlan,
  type StackPlan,
} from "#stack/plan.ts";
import { dataOf } from "./host-plan.ts";
import { printable, secretsIn, type Text } from "#stack/text.ts";

/** What runtime/apply.py writes for one container, as its resource input; secrets come beside it and fill the holes. */
export interface FilesPlan {
  readonly service: string;
  /** Directory of this service's own; apply.py gives it and what is above it their modes. */
  readonly home: string;
  readonly directory: string;
  readonly files: readonly PlannedFile[];
  /** The one file, where the program takes another one while it runs: changed files do not mean another container. */
  readonly reload?: ReloadPlan;
  /** Variables that hold secrets: entry.sh sets them, so that they are in no container's settings. */
  readonly env: Readonly<Record<string, Text>>;
}

/** One container as the engine is to make it, less what only the engine knows: ids. Pure data, without a secret. */
export interface ContainerSpec {
  readonly service: string;
  readonly name: string;
  readonly image: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=value`, sorted. */
  readonly environment: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly ip: string; readonly external: number; readonly internal: number }[];
  readonly volumes: readonly PlannedVolume[];
  /** Directories of this host, read-only: path inside → path here. */
  readonly binds: Readonly<Record<string, string>>;
  /** Names for this host's address. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly readOnly: boolean;
  readonly capabilities: readonly string[];
  readonly memoryMiB: number;
  readonly cpus?: number;
  /** Cards that it is to have; how, is for the engine that is there. */
  readonly gpu?: GpuPlan;
  readonly restart: "unless-stopped" | "on-failure" | "no";
  readonly stopSignal: string;
  readonly stopGraceSeconds: number;
  /** Absent where it needs none. */
  readonly files?: FilesPlan;
  readonly job?: {
    readonly doneFile: string;
    /** Files with the ids of the data that it works on, by service. */
    readonly data: Readonly<Record<string, string>>;
  };
}

const ENTRY = "entry.sh";
/** Where entry.sh finds the variables: one `export NAME='…'` a line. */
const ENTRY_TEXT = `#!/bin/sh\n. ${CONTAINER_HOME}/env.sh\nexec "$@"\n`;

/** Undefined for a service that is no container. */
export function containerSpec(plan: ServicePlan, { places, network, services }: StackPlan): ContainerSpec | undefined {
  const { container } = plan;
  if (!container || !network) return undefined;
  const home = `${places.containersDir}/${plan.name}`;
  const directory = filesDir(places, plan.name);
  const env = { ...baseEnv(plan, places.stack), ...plan.env };
  const hidden = Object.fromEntries(Object.entries(env).filter(([, text]) => secretsIn(text).length > 0));
  const open = Object.entries(env).filter(([, text]) => secretsIn(text).length === 0);
  const entered = Object.keys(hidden).length > 0;
  const files = [...plan.files, ...(entered ? [{ path: ENTRY, mode: "0444", content: [ENTRY_TEXT] as Text }] : [])];
  const [program, ...rest] = plan.argv;
  return {
    service: plan.name,
    name: container.name,
    image: container.image.reference,
    entrypoint: entered ? ["/bin/sh", `${CONTAINER_HOME}/${ENTRY}`] : program === undefined ? [] : [program],
    command: entered ? plan.argv : program === undefined ? (container.args ?? []) : rest,
    environment: open.map(([name, text]) => `${name}=${printable(text)}`).sort(),
    ...(container.user && { user: container.user }),
    ...(container.workingDir && { workingDir: container.workingDir }),
    labels: {
      [LABEL.stack]: places.stack,
      [LABEL.service]: plan.name,
      [LABEL.owner]: places.owner,
      [LABEL.project]: places.projectDir,
      // Arguments that are taken away are no change to the provider.
      ...(program === undefined && { "engineroom.args": JSON.stringify(container.args ?? []) }),
    },
    ports: plan.ports.map(({ host, port }, index) => ({
      ip: host,
      external: port,
      internal: container.internalPorts[index] ?? port,
    })),
    volumes: container.volumes,
    binds: {
      ...container.mounts,
      ...(files.length > 0 && { [CONTAINER_HOME]: directory }),
      ...Object.fromEntries(
        plan.files.flatMap(({ path, mountAt }) => (mountAt ? [[mountAt, `${directory}/${path}`]] : [])),
      ),
    },
    hosts: container.usesHost ? { [HOST_NAME]: network.gateway } : {},
    readOnly: container.readOnly,
    capabilities: container.capabilities,
    memoryMiB: Math.ceil((plan.memoryBytes ?? DEFAULT_MEMORY) / 2 ** 20),
    ...(container.cpus !== undefined && { cpus: container.cpus }),
    ...(plan.gpu && { gpu: plan.gpu }),
    restart: plan.restart === "always" ? "unless-stopped" : plan.restart,
    stopSignal: `SIG${plan.stopSignal}`,
    stopGraceSeconds: Math.ceil(plan.stopGraceMs / 1000),
    ...(files.length > 0 && { files: filesPlan({ service: plan.name, home, directory, files, env: hidden }, plan) }),
    ...(plan.run === "job" && { job: { doneFile: `${home}/done.json`, data: dataOf(plan, services) } }),
  };
}

const filesPlan = (files: FilesPlan, { reload }: ServicePlan): FilesPlan =>
  reload && files.files.length === 1 ? { ...files, reload } : files;

const DEFAULT_MEMORY = 1024 * 2 ** 20;

/** What every service sees of its stack; HOME must be a place that can be written, else it is the image's. */
const baseEnv = ({ name, container }: ServicePlan, stack: string): Readonly<Record<string, Text>> => ({
  ...(container?.readOnly && { HOME: ["/tmp"] }),
  LANG: ["C.UTF-8"],
  PYTHONUNBUFFERED: ["1"],
  ENGINEROOM_STACK: [stack],
  ENGINEROOM_SERVICE: [name],
});

export const specHash = (spec: ContainerSpec): string =>
  createHash("sha256").update(JSON.stringify(spec)).digest("hex");

/** The same of what runs and with what, without its limits: those make no other run of a job. */
export const workHash = ({ memoryMiB, cpus, ...spec }: ContainerSpec): string =>
  createHash("sha256").update(JSON.stringify(spec)).digest("hex");

/** Secrets that fill the holes of its files and variables. */
export const secretsOfFiles = ({ files, env }: FilesPlan): readonly string[] => [
  ...new Set([...files.map((file) => file.content), ...Object.values(env)].flatMap(secretsIn)),
];

/** What a failed build said last stands here; the provider tells only that it failed. */
export const imageLog = ({ context }: ImageBuildPlan): string => `${dirname(context)}/build.log`;
