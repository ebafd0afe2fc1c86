import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { CommonSettings } from "#stack/schema.ts";
import type { Address, BuildPlan, ModelPlan, Place, PlannedFile, ServedModel, ServicePlan } from "#stack/plan.ts";
import { didYouMean, type Problem } from "#stack/problems.ts";
import type { StackPlaces } from "#stack/places.ts";
import type { Text } from "#stack/text.ts";
import type { ImageName, ImageSource } from "#setup/image-references.ts";
import type { Tool, ToolName } from "#setup/tools.ts";

/** What a kind may look at when it plans: data only. */
export interface PlanContext {
  readonly name: string;
  readonly places: StackPlaces;
  readonly in: Place;
  /** Account that runs host services: `engineroom` under root, else the user's own. */
  readonly account: string;
  /** Its user and group, `uid:gid`: what it may read, a container that runs as it may read too. */
  readonly accountIds: string;
  /** Address that it binds: loopback on the host, any inside of a container. */
  readonly listen: string;
  /** Port that it listens on: the explicit one, else the kind's default; on the host plus `portOffset`. */
  readonly port: number;
  /** Where this host reaches it. */
  readonly at: Address;
  /** Directory of its own files (settings, password, start script) as the service sees it. */
  readonly home: string;
  /** The same directory as this host sees it. */
  readonly hostHome: string;
  readonly tool: (name: ToolName) => Tool;
  /** Where its images come from; undefined where set-up made none. */
  readonly imageSource: ImageSource | undefined;
  readonly models: ReadonlyMap<string, ModelPlan>;
  /** Stands in for every model, also for one that a server would pull. */
  readonly smallModel?: ModelPlan;
  /** Host: the build of the service's `build` directory. */
  readonly build?: BuildPlan;
  /** Real path of its `build` directory. */
  readonly directory?: string;
  /** What its `build` directory holds. */
  readonly source?: "python" | "node" | "dockerfile";
  /** Plans of the services that it refers to. */
  readonly uses: readonly ServicePlan[];
  /** Names that the stack's nginx services are known by. */
  readonly domains: readonly string[];
}

/** Settings with every reference resolved; only `env` and `files` may hold secrets. */
export type ResolvedSettings<Settings extends CommonSettings> = Omit<Settings, "env" | "files"> & {
  readonly env: Readonly<Record<string, Text>>;
} & (Settings extends { readonly files: unknown } ? { readonly files: Readonly<Record<string, Text>> } : unknown);

/** The part of a plan that differs from kind to kind; `completePlan` adds what all have. */
export interface KindPlan {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, Text>>;
  readonly files?: readonly PlannedFile[];
  readonly reload?: ServicePlan["reload"];
  readonly directories?: readonly string[];
  readonly tools?: readonly ToolName[];
  readonly source?: ServicePlan["source"];
  readonly model?: ModelPlan;
  readonly serves?: readonly ServedModel[];
  readonly loads?: ServicePlan["loads"];
  /** Absent: a job, whose end is its readiness. */
  readonly check?: Check;
  readonly readyTimeoutMs: number;
  readonly stopSignal?: ServicePlan["stopSignal"];
  readonly stopGraceMs?: number;
  readonly drains?: ServicePlan["drains"];
  readonly consumes?: ServicePlan["consumes"];
  readonly claims?: readonly Claim[];
  readonly generates?: readonly string[];
  readonly dataIdFile?: string;
  /** Where it runs in a container. */
  readonly container?: KindContainer;
}

/** What is asked of a service that somebody else runs. */
export interface ExternalPlan {
  readonly check: Check;
  /** The file with the password that the check takes. */
  readonly files?: readonly PlannedFile[];
}

/** How a kind is where somebody else runs it. Its settings have what `outputs` reads. */
export interface External<Settings = never> {
  readonly settings: z.ZodType;
  readonly plan: (settings: Settings, context: PlanContext) => ExternalPlan;
}

/** As {@link defineKind}. */
export const defineExternal = <Settings>(
  external: External<Settings> & { readonly settings: z.ZodType<Settings> },
): External => external;

/** What only one service of a stack may have: the second one that claims `key` is a problem. */
export interface Claim extends Pick<Problem, "code" | "expected" | "got" | "fix"> {
  readonly key: string;
  /** Setting of the service that holds it. */
  readonly setting: string;
}

/** What a kind says of its container. */
export interface KindContainer {
  /** Absent: the service's own `build` or `image`. */
  readonly image?: ImageName;
  /** `uid:gid` */
  readonly user?: string;
  /** Where the volume of its data goes. */
  readonly volume?: string;
  /** Where volumes besides that one go, by what their names end with. */
  readonly moreVolumes?: Readonly<Record<string, string>>;
  /** What the image's own entry point is given, where there is no `argv`. */
  readonly args?: readonly string[];
  /** Directories of this host that it reads, by their path inside. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** Limit where the stack file sets none. */
  readonly memoryBytes: number;
}

/** A port that is the same on the host and in a container's publication, whatever `portOffset` says. */
export interface MorePort {
  /** Its place in the service's settings. */
  readonly key: string;
  readonly port: number;
  /** In the container. */
  readonly inside: number;
}

/** One kind of service. Everything in it is pure. */
export interface Kind<Settings extends CommonSettings = CommonSettings> {
  readonly settings: z.ZodType<Settings>;
  /** Resource class: `engineroom:service:<className>`. */
  readonly className: string;
  /** Absent: the kind listens nowhere unless `port` is set. */
  readonly defaultPort?: number;
  readonly run?: ServicePlan["run"];
  /** It only ships as an image. */
  readonly imageOnly?: true;
  /** Where it listens besides its port. */
  readonly morePorts?: (settings: Settings) => readonly MorePort[];
  /**
   * What others may refer to; known before any reference is resolved.
   * @param at where the one who refers to it reaches it.
   */
  readonly outputs: (settings: Settings, context: PlanContext, at: Address) => Readonly<Record<string, Text>>;
  readonly plan: (settings: ResolvedSettings<Settings>, context: PlanContext) => KindPlan | Problem;
  /** Absent: engineroom runs each one itself. */
  readonly external?: External;
}

/** Keeps the settings type between a kind's schema and its functions; the catalog holds kinds of any settings. */
export const defineKind = <Settings extends CommonSettings>(kind: Kind<Settings>): Kind => kind as unknown as Kind;

export const LOOPBACK = "127.0.0.1";

/** No other machine reaches it, and no container. */
export const isLoopback = (host: string): boolean => host === "localhost" || host.startsWith("127.");

export const MIB = 2 ** 20;

/** Of an application that says nothing about its memory. */
export const APPLICATION_MEMORY = 1024 * MIB;

/** The outputs of an application: `listen` is the address that it is to bind, where it runs. */
export const applicationOutputs = (context: PlanContext, at: Address): Readonly<Record<string, Text>> => ({
  ...httpOutputs(at),
  listen: [context.listen],
});

/** The outputs of a service that speaks HTTP. */
export const httpOutputs = ({ host, port }: Address): Readonly<Record<string, Text>> => ({
  host: [host],
  port: [String(port)],
  url: [`http://${host}:${port}`],
});

/** A setting names a model that nobody declared. */
export function undeclaredModel(model: string, where: string, context: PlanContext): Problem {
  const declared = [...context.models.keys()];
  return {
    code: "MODEL_UNDECLARED",
    where,
    expected: `a model of engineroom:models (${declared.join(", ") || "none is declared"})`,
    got: `\`${model}\``,
    fix: didYouMean(model, declared) ?? `declare it: engineroom:models: { ${model}: { file: … } }`,
  };
}

export const healthWithoutPort = ({ name }: PlanContext): Problem => ({
  code: "HEALTH_WITHOUT_PORT",
  where: `services.${name}.health`,
  expected: "a `port` beside it, at which to ask",
  got: "none",
  fix: `set services.${name}.port`,
});
