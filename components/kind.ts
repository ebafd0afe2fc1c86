import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { CommonSettings } from "#stack/schema.ts";
import type { BuildPlan, ModelPlan, PlannedFile, ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import type { StackPlaces } from "#stack/places.ts";
import type { Text } from "#stack/text.ts";
import type { Tool, ToolName } from "#setup/tools.ts";

/** What a kind may look at when it plans: data only. */
export interface PlanContext {
  readonly name: string;
  readonly places: StackPlaces;
  /** Account that runs host services: `engineroom` under root, else the user's own. */
  readonly account: string;
  /** The explicit port, else the kind's default plus `portOffset`. */
  readonly port: number;
  readonly tool: (name: ToolName) => Tool;
  readonly models: ReadonlyMap<string, ModelPlan>;
  /** The build of the service's `build` directory. */
  readonly build?: BuildPlan;
  /** Plans of the services that it refers to. */
  readonly uses: readonly ServicePlan[];
}

/** Settings with every reference resolved; only `env` may hold secrets. */
export type ResolvedSettings<Settings extends CommonSettings> = Omit<Settings, "env"> & {
  readonly env: Readonly<Record<string, Text>>;
};

/** The part of a plan that differs from kind to kind; `completePlan` adds what all have. */
export interface KindPlan {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, Text>>;
  readonly files?: readonly PlannedFile[];
  readonly directories?: readonly string[];
  readonly tools?: readonly ToolName[];
  readonly model?: ModelPlan;
  /** Absent: a job, whose end is its readiness. */
  readonly check?: Check;
  readonly readyTimeoutMs: number;
  readonly stopSignal?: ServicePlan["stopSignal"];
  readonly stopGraceMs?: number;
  readonly generates?: readonly string[];
  readonly dataIdFile?: string;
}

/** One kind of service. Everything in it is pure. */
export interface Kind<Settings extends CommonSettings = CommonSettings> {
  readonly settings: z.ZodType<Settings>;
  /** Resource class: `engineroom:service:<className>`. */
  readonly className: string;
  /** Absent: the kind listens nowhere unless `port` is set. */
  readonly defaultPort?: number;
  readonly run?: ServicePlan["run"];
  /** What others may refer to; known before any reference is resolved. */
  readonly outputs: (settings: Settings, context: PlanContext) => Readonly<Record<string, Text>>;
  readonly plan: (settings: ResolvedSettings<Settings>, context: PlanContext) => KindPlan | Problem;
}

/** Keeps the settings type between a kind's schema and its functions; the catalog holds kinds of any settings. */
export const defineKind = <Settings extends CommonSettings>(kind: Kind<Settings>): Kind => kind as unknown as Kind;

export const LOOPBACK = "127.0.0.1";

/** Directory of a service's own files: settings, password, start script. */
export const serviceDir = (context: PlanContext): string => `${context.places.servicesDir}/${context.name}`;
