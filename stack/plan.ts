import type { Check } from "#checks/check.ts";
import type { ToolName } from "#setup/tools.ts";
import type { StackPlaces } from "./places.ts";
import type { Text } from "./text.ts";

export interface PlannedPort {
  readonly host: string;
  readonly port: number;
}

/** A file that the maker writes for a service. `path` is relative to the service's own directory. */
export interface PlannedFile {
  readonly path: string;
  /** Octal, as a string: `0600`. */
  readonly mode: string;
  readonly content: Text;
}

/** An application directory made runnable: a copy of the source with its Python environment or its built pages. */
export interface BuildPlan {
  /** `<directory name>-<first 12 hex digits of the content hash>` */
  readonly key: string;
  readonly kind: "python" | "node";
  readonly source: string;
  readonly target: string;
}

/** A model file that a service reads. */
export interface ModelPlan {
  readonly name: string;
  readonly path: string;
  readonly sha256?: string;
  readonly mmproj?: string;
  readonly missing: "fail" | "wait";
  /** How long its size must not change before it counts as complete. */
  readonly stableSeconds: number;
}

/** How a dependency shows, without the engine, that it may be used: for a start of all services at once. */
export type StartGate = { readonly port: PlannedPort } | { readonly file: string };

/** One service, fully decided: what tests compare, `engineroom plan` prints and a maker carries out. */
export interface ServicePlan {
  readonly name: string;
  readonly kind: string;
  readonly in: "host" | "external";
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
  /** Directories made before the start, mode 0700. */
  readonly directories: readonly string[];
  readonly ports: readonly PlannedPort[];
  readonly gates: readonly StartGate[];
  readonly tools: readonly ToolName[];
  readonly build?: BuildPlan;
  readonly model?: ModelPlan;
  /** Absent: a job, whose end is its readiness. */
  readonly check?: Check;
  /** Limit of the wait for the check; of a job: limit of its run. */
  readonly readyTimeoutMs: number;
  readonly restart: "always" | "on-failure" | "no";
  readonly stopSignal: "TERM" | "INT" | "QUIT";
  readonly stopGraceMs: number;
  /** Watched on the host, not enforced. */
  readonly memoryBytes?: number;
  /** Secrets that engineroom makes for this service, by name. */
  readonly generates: readonly string[];
  /** File with the random id of the service's data; a job remembers the ids that it ran against. */
  readonly dataIdFile?: string;
  readonly logFile: string;
  readonly errorLog?: string;
  readonly pidFile?: string;
  /** What others refer to as `${name.key}`. */
  readonly outputs: Readonly<Record<string, Text>>;
}

/** A secret that the user brings. */
export type UserSecret =
  | { readonly from: "config"; readonly value: string }
  | { readonly from: "env"; readonly variable: string; readonly required: boolean }
  | { readonly from: "file"; readonly path: string; readonly required: boolean }
  | { readonly from: "generate"; readonly bytes: number };

export interface StackPlan {
  readonly places: StackPlaces;
  /** In an order that puts every service after what it needs. */
  readonly services: readonly ServicePlan[];
  readonly disabled: readonly string[];
  readonly secrets: Readonly<Record<string, UserSecret>>;
  readonly builds: readonly BuildPlan[];
}
