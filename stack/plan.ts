import type { Check } from "#checks/check.ts";
import type { ImageName } from "#setup/image-references.ts";
import type { ToolName } from "#setup/tools.ts";
import type { GpuPlan } from "./gpu.ts";
import type { StackPlaces } from "./places.ts";
import type { Text } from "./text.ts";

export interface PlannedPort {
  readonly host: string;
  readonly port: number;
}

/** Where a service is reached: from this host, or from a container of its stack. */
export type Address = PlannedPort;

/** A file that the maker writes for a service. `path` is relative to the service's own directory. */
export interface PlannedFile {
  readonly path: string;
  /** Octal, as a string: `0600`. In a container every file has 0444: a user without capabilities must read it. */
  readonly mode: string;
  readonly content: Text;
  /** Where a container has it, too. */
  readonly mountAt?: string;
}

/**
 * An application directory made runnable: a copy of the source with its Python environment or its built pages; or the
 * environment alone, for a program that runs in the directory itself.
 */
export interface BuildPlan {
  /** `<directory name>-<first 12 hex digits of the content hash>` */
  readonly key: string;
  readonly kind: "python" | "node" | "environment";
  readonly source: string;
  readonly target: string;
}

/** A directory that a service runs in as it is. */
export interface WorkingSource {
  readonly path: string;
  /** Where its packages must be, and what brings them; the program writes there, too. */
  readonly packages?: { readonly path: string; readonly command: string };
}

/** An application directory as an image. */
export interface ImageBuildPlan {
  /** As of {@link BuildPlan}; also the tag of its image. */
  readonly key: string;
  readonly kind: "python" | "node" | "dockerfile";
  readonly source: string;
  /** Name of its resource: its directory, because another one may have the same last part. */
  readonly resource: string;
  /** Directory that the image is built from: a copy of the source with the Dockerfile. */
  readonly context: string;
  /** Name and tag; the name is the stack's own, so that no other stack uses it. */
  readonly reference: string;
  readonly dockerfile: string;
}

/** Where a container's image comes from. */
export type ContainerImage =
  /** One that set-up pulls or makes, by its contract (docs/images.md). */
  | { readonly from: "set-up"; readonly name: ImageName; readonly reference: string }
  | { readonly from: "user"; readonly reference: string }
  | { readonly from: "build"; readonly build: ImageBuildPlan; readonly reference: string };

export interface PlannedVolume {
  readonly name: string;
  /** Where the container has it. */
  readonly target: string;
  /** False: `destroy` removes it. */
  readonly kept: boolean;
}

/** What a container has besides what every service has. */
export interface ContainerPlan {
  readonly name: string;
  readonly image: ContainerImage;
  /** `uid:gid`; absent: as the image says. */
  readonly user?: string;
  readonly workingDir?: string;
  /** What the image's own entry point is given, where there is no `argv`. */
  readonly args?: readonly string[];
  /** Port inside, for each of the service's `ports`. */
  readonly internalPorts: readonly number[];
  readonly volumes: readonly PlannedVolume[];
  /** Files of this host, read-only, by their path in the container. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly readOnly: boolean;
  /** Capabilities that it is left. */
  readonly capabilities: readonly string[];
  /** CPUs that it may use at most. */
  readonly cpus?: number;
  /** It uses processes of this host, which it reaches as {@link HOST_NAME}. */
  readonly usesHost: boolean;
}

/** The network that a stack's containers share. */
export interface NetworkPlan {
  readonly name: string;
  readonly subnet: string;
  /** This host's own address in it, where the relay listens. */
  readonly gateway: string;
}

/** A file of a model, and where set-up gets it while it is not there. */
export interface ModelDownload {
  readonly path: string;
  readonly from: { readonly url: string } | { readonly repo: string; readonly file: string; readonly revision: string };
  readonly sha256?: string;
}

/** A model file that a service reads. */
export interface ModelPlan {
  readonly name: string;
  readonly path: string;
  /** The declared file, or the name of the model to pull, in whose place the small model is used. */
  readonly standsInFor?: string;
  /** 0 while there is no file. */
  readonly bytes: number;
  readonly sha256?: string;
  readonly mmproj?: string;
  readonly missing: "fail" | "wait";
  /** How long its size must not change before it counts as complete. */
  readonly stableSeconds: number;
  /** How long `up` waits for it, when it is not there or not whole. */
  readonly waitSeconds: number;
  readonly source?: {
    readonly downloads: readonly ModelDownload[];
    /** Name of the user's secret that opens the source. */
    readonly token?: string;
  };
}

/** A model that a server is given while it runs: it pulls it by its name, or is sent a file. */
export interface ServedModel {
  /** With its tag: `gemma2:2b`. */
  readonly name: string;
  /** Absent: it is pulled. */
  readonly file?: ModelPlan;
  readonly template?: string;
  readonly system?: string;
}

/** How a dependency shows, without the engine, that it may be used: for a start of all services at once. */
export type StartGate = { readonly port: PlannedPort } | { readonly file: string };

/** Where a service runs; `external`: somebody else runs it, and engineroom only asks whether it works. */
export type Place = "host" | "container" | "external";

/** What a container calls this host. */
export const HOST_NAME = "host.docker.internal";

/** How a service takes another settings file while it runs, by a HUP, with its connections. */
export interface ReloadPlan {
  /** `path` of the file. */
  readonly file: string;
  /** Ends with exit code 0 where the service will take what stands in a file of this name with `.new` behind it. */
  readonly test: readonly string[];
}

/** One service, fully decided: what tests compare, `engineroom plan` prints and a maker carries out. */
export interface ServicePlan {
  readonly name: string;
  readonly kind: string;
  readonly in: Place;
  /** False: its failure is a warning. */
  readonly required: boolean;
  /** Services that must be ready before this one starts. */
  readonly needs: readonly string[];
  /** `service`: stays up; `job`: runs once before its dependents. */
  readonly run: "service" | "job";
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, Text>>;
  readonly files: readonly PlannedFile[];
  readonly reload?: ReloadPlan;
  /** Directories made before the start, mode 0700. */
  readonly directories: readonly string[];
  readonly ports: readonly PlannedPort[];
  readonly gates: readonly StartGate[];
  readonly tools: readonly ToolName[];
  readonly build?: BuildPlan;
  /** It runs in this directory of its user's, and takes edits there by itself. */
  readonly source?: WorkingSource;
  /** It reads this file itself. */
  readonly model?: ModelPlan;
  readonly serves?: readonly ServedModel[];
  /** Absent: a job, whose end is its readiness. */
  readonly check?: Check;
  /** Limit of the wait for the check; of a job: limit of its run. */
  readonly readyTimeoutMs: number;
  readonly restart: "always" | "on-failure" | "no";
  readonly stopSignal: "TERM" | "INT" | "QUIT";
  readonly stopGraceMs: number;
  /**
   * The stop signal is for its first process alone, which then lets running tasks end; their processes would take it
   * for an order to die.
   */
  readonly drains?: true;
  readonly consumes?: Consumption;
  /** Enforced on a container; watched on the host. */
  readonly memoryBytes?: number;
  readonly gpu?: GpuPlan;
  /** Models that it loads onto its cards. */
  readonly loads?: ModelLoads;
  /** Secrets that engineroom makes for this service, by name. */
  readonly generates: readonly string[];
  /** File with the id of the service's data; a job remembers the ids that it ran against. */
  readonly dataIdFile?: string;
  /** False: `destroy` removes its data. */
  readonly dataKept: boolean;
  /** Of a host service; a container's log is the engine's. */
  readonly logFile: string;
  readonly errorLog?: string;
  readonly pidFile?: string;
  /** Exactly where `in` is `container`. */
  readonly container?: ContainerPlan;
  /** Exactly where `in` is `external`: where this host reaches it. */
  readonly external?: Address;
  /** What others refer to as `${name.key}`, as this host sees it. */
  readonly outputs: Readonly<Record<string, Text>>;
}

export interface ModelLoads {
  readonly models: readonly ModelLoad[];
  /** How many of them may lie there at the same time; others make room. */
  readonly atOnce: number;
}

/** One model on its way to a GPU. */
export interface ModelLoad {
  readonly name: string;
  /** Undefined where its server pulls it: nobody knows its size beforehand. */
  readonly file?: ModelPlan;
  /** Layers that lie on the GPU, from the last one on. */
  readonly layers: number | "all";
  /** Tokens of all conversations together. */
  readonly contextSize: number;
  /** Conversations at the same time. */
  readonly parallel: number;
  /** Numbers that its keys and its values are kept as. */
  readonly cacheTypes: readonly [string, string];
  /** Tokens that are computed at once. Default: 512. */
  readonly ubatchSize?: number;
}

/** Every model file that the service reads or is sent. */
export const modelFilesOf = ({ model, serves = [] }: Pick<ServicePlan, "model" | "serves">): readonly ModelPlan[] => [
  ...(model ? [model] : []),
  ...serves.flatMap(({ file }) => file ?? []),
];

/** That a service takes its work from a broker of the stack. */
export interface Consumption {
  /** Service name. */
  readonly broker: string;
  /** Most processes of its own program that it has, those included which only wait for others. */
  readonly processes: number;
}

/** A secret that the user brings. */
export type UserSecret =
  | { readonly from: "config"; readonly value: string }
  | { readonly from: "env"; readonly variable: string; readonly required: boolean }
  | { readonly from: "file"; readonly path: string; readonly required: boolean }
  | { readonly from: "generate"; readonly bytes: number }
  /** A variable of a service's `envFile`. */
  | { readonly from: "envFile"; readonly path: string; readonly value: string };

export interface StackPlan {
  readonly places: StackPlaces;
  /** In an order that puts every service after what it needs. */
  readonly services: readonly ServicePlan[];
  readonly disabled: readonly string[];
  /** All that are declared, used or not. */
  readonly models: readonly ModelPlan[];
  readonly secrets: Readonly<Record<string, UserSecret>>;
  readonly builds: readonly BuildPlan[];
  readonly imageBuilds: readonly ImageBuildPlan[];
  /** Where at least one service is a container. */
  readonly network?: NetworkPlan;
}

/** Where a host service says what goes wrong: programs complain on standard error. */
export const complaintsOf = ({ errorLog, logFile }: Pick<ServicePlan, "errorLog" | "logFile">): string =>
  errorLog ?? logFile;
