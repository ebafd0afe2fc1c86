import { basename, isAbsolute, join } from "node:path";
import { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { Claim, ExternalPlan, Kind, KindPlan, PlanContext } from "#components/kind.ts";
import { isLoopback, LOOPBACK } from "#components/kind.ts";
import { catalog } from "#components/catalog.ts";
import { RELAY, relayPlan } from "#components/relay.ts";
import type { ImageName, Images } from "#setup/image-references.ts";
import type { Tool, ToolName, Tools } from "#setup/tools.ts";
import { APPLICATION_USER, CONTAINER_HOME, filesDir, imageBuildPlan, networkPlan } from "./containers.ts";
import { mmprojFile, modelSource, sourceProblems } from "./model-sources.ts";
import { gpuEnv, gpuPlan, type GpuPlan } from "./gpu.ts";
import type { EnvFile } from "./env-file.ts";
import { inOrder } from "./order.ts";
import type { HostPlaces, StackPlaces } from "./places.ts";
import { SERVICE_USER } from "./places.ts";
import {
  HOST_NAME,
  type Address,
  type BuildPlan,
  type ContainerImage,
  type ContainerPlan,
  type ModelPlan,
  type NetworkPlan,
  type Place,
  type ServicePlan,
  type StackPlan,
  type StartGate,
  type UserSecret,
} from "./plan.ts";
import { didYouMean, inFileOrder, shown, type Problem } from "./problems.ts";
import { absent, resolve, type Scope } from "./references.ts";
import {
  baseSettings,
  modelName,
  modelSettings,
  secretName,
  secretSettings,
  type sections,
  serviceName,
  stackSettings,
  type CommonSettings,
  type GpuSettings,
} from "./schema.ts";
import { SMALL_MODEL } from "./small-model.ts";
import { hole, secretsIn, type Text } from "./text.ts";
import { keysOf, zodProblems } from "./zod-problems.ts";

/** The sections of a stack file as they stand there, secrets decrypted. */
export type RawStack = Readonly<Partial<Record<(typeof sections)[number], unknown>>>;

/** What planning must know of this host: data, gathered beforehand. */
export interface LoadContext {
  readonly host: HostPlaces;
  readonly places: StackPlaces;
  readonly tools: Tools;
  /** What set-up has pulled or made; undefined where it made no images. */
  readonly images: Images | undefined;
  /** Name of the account that runs engineroom. */
  readonly account: string;
  /** `uid:gid` of the account that runs host services. */
  readonly accountIds: string;
  /** Size of a file; 0 where there is none. */
  readonly bytesOf: (path: string) => number;
  /** Content of each `build` directory, by its path as the stack file has it; a string says why there is none. */
  readonly sources: ReadonlyMap<string, SourceContent | string>;
  /** Each `envFile`, by its path as the stack file has it. */
  readonly envFiles: ReadonlyMap<string, EnvFile>;
}

export interface SourceContent {
  readonly path: string;
  readonly kind: "python" | "node" | "dockerfile";
  /** The directory has a Dockerfile, which makes its image. */
  readonly dockerfile: boolean;
  /** SHA-256, hex. */
  readonly hash: string;
  /** That of its requirements.txt, where it has one. */
  readonly requirements?: string;
}

export type Loaded = { readonly plan: StackPlan } | { readonly problems: readonly Problem[] };

/** One service on its way to a plan. */
interface Draft {
  readonly name: string;
  readonly kindName: string;
  readonly settings: CommonSettings & Readonly<Record<string, unknown>>;
}

/** Turns a stack file's sections into the plan of the whole stack, or names everything that is wrong with it. */
export function loadStack(raw: RawStack, context: LoadContext): Loaded {
  const problems: Problem[] = [];
  const settings = parse(stackSettings, raw.settings ?? {}, "settings", problems);
  const secrets = parseEach(raw.secrets, { where: "secrets", rule: secretName, schema: secretSettings }, problems);
  const models = parseEach(raw.models, { where: "models", rule: modelName, schema: modelSettings }, problems);
  const known = new Set(secrets.keys());
  for (const [name, model] of models) if (model) problems.push(...sourceProblems(name, model, known));
  const { drafts, broken, standIns } = parseServices(raw.services, problems);
  const world: World = {
    // What is wrong with one section hides nothing that is wrong with another.
    settings: settings ?? stackSettings.parse({}),
    secrets: known,
    models: new Map([...models].map(([name, model]) => [name, modelPlan(name, model, settings, context)])),
    broken,
    standIns,
    context,
  };
  const network = networkPlan(context.places, world.settings);
  const stack = planServices(drafts, { ...world, network }, problems);
  if (problems.length > 0) return { problems: inFileOrder(problems, raw) };
  const images = stack.services.flatMap(({ container }) =>
    container?.image.from === "build" ? container.image.build : [],
  );
  return {
    plan: {
      places: context.places,
      services: stack.services,
      disabled: stack.disabled,
      models: [...world.models.values()],
      imageBuilds: distinct(images),
      ...(stack.services.some((service) => service.in === "container") && { network }),
      secrets: {
        ...Object.fromEntries([...secrets].flatMap(([name, secret]) => (secret ? [[name, secret]] : []))),
        ...Object.fromEntries(
          drafts
            .filter(({ settings }) => settings.enabled)
            .flatMap((draft) =>
              Object.entries(envFileSecrets(draft, context)).map(([name, secret]) => [envSecret(draft, name), secret]),
            ),
        ),
      },
      builds: distinct(stack.services.flatMap((service) => service.build ?? [])),
    },
  };
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
  problems: Problem[],
): z.output<Schema> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  problems.push(...zodProblems(schema, result.error, value, where));
  return undefined;
}

interface Section<Schema> {
  readonly where: string;
  readonly rule: { readonly pattern: RegExp; readonly expected: string };
  readonly schema: Schema;
}

/** Every name of the section; undefined for one whose value is wrong, so that a reference to it is no second problem. */
function parseEach<Schema extends z.ZodType>(
  section: unknown,
  { where, rule, schema }: Section<Schema>,
  problems: Problem[],
): ReadonlyMap<string, z.output<Schema> | undefined> {
  return new Map(
    entriesOf(section, where, problems).map(([name, value]) => {
      if (!rule.pattern.test(name)) problems.push(badName(name, where, rule));
      return [name, parse(schema, value, `${where}.${name}`, problems)];
    }),
  );
}

function entriesOf(section: unknown, where: string, problems: Problem[]): [string, unknown][] {
  if (section === undefined || section === null) return [];
  if (typeof section !== "object" || Array.isArray(section)) {
    problems.push({
      code: "STACK_TYPE",
      where,
      expected: "names with their settings",
      got: shown(section, where === "secrets"),
      fix: `write engineroom:${where}: { NAME: { … } }`,
    });
    return [];
  }
  return Object.entries(section);
}

function badName(name: string, where: string, { pattern, expected }: Section<unknown>["rule"]): Problem {
  const similar = name.toLowerCase().replace(/[^a-z0-9]+/g, where === "secrets" ? "" : "-");
  return {
    code: "STACK_NAME",
    where: `${where}.${name}`,
    expected,
    got: shown(name),
    fix: pattern.test(similar) ? `rename it to \`${similar}\`` : "rename it",
  };
}

interface Drafts {
  readonly drafts: readonly Draft[];
  /** Services that have a problem of their own. */
  readonly broken: ReadonlySet<string>;
  /** Of those, with a kind's defaults: so that what others make of their outputs is judged all the same. */
  readonly standIns: readonly Draft[];
}

function parseServices(section: unknown, problems: Problem[]): Drafts {
  const entries = entriesOf(section, "services", problems);
  const drafts = entries.flatMap(([name, value]) => {
    const named = serviceName.pattern.test(name);
    if (!named) problems.push(badName(name, "services", serviceName));
    const draft = parseService(name, value, problems);
    return draft && named ? [draft] : [];
  });
  if (entries.length === 0 && !problems.some(({ where }) => where === "services")) {
    problems.push({
      code: "STACK_EMPTY",
      where: "services",
      expected: "at least one service",
      got: "none",
      fix: "add one under engineroom:services, as Pulumi.local.yaml does",
    });
  }
  const good = new Set(drafts.map(({ name }) => name));
  const bad = entries.filter(([name]) => !good.has(name));
  return { drafts, broken: new Set(bad.map(([name]) => name)), standIns: bad.flatMap(standIn) };
}

function standIn([name, value]: [string, unknown]): readonly Draft[] {
  const [kindName, kind] = kindIn(value);
  const settings = kind?.settings.safeParse({ kind: kindName }).data;
  return settings ? [{ name, kindName, settings }] : [];
}

function kindIn(value: unknown): [string, Kind | undefined] {
  const name = (value as { kind?: unknown } | null | undefined)?.kind;
  return typeof name === "string" && Object.hasOwn(catalog, name) ? [name, catalog[name]] : ["", undefined];
}

function parseService(name: string, value: unknown, problems: Problem[]): Draft | undefined {
  const where = `services.${name}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push({
      code: "STACK_TYPE",
      where,
      expected: "a map with `kind` and its settings",
      got: shown(value, true),
      fix: `write ${name}: { kind: … }`,
    });
    return undefined;
  }
  const [kindName, kind] = kindIn(value);
  if (!kind) {
    problems.push(unknownKind(where, (value as { kind?: unknown }).kind));
    return undefined;
  }
  const isExternal = (value as { in?: unknown }).in === "external";
  if (isExternal && !kind.external) {
    problems.push(neverExternal(where, kindName));
    return undefined;
  }
  const [schema, other] = isExternal
    ? [kind.external?.settings, kind.settings]
    : [kind.settings, kind.external?.settings];
  const known = new Set(schema && keysOf(schema));
  const misplaced = (other ? keysOf(other) : []).filter((key) => key in value && !known.has(key));
  problems.push(...misplaced.map((key) => externalMisplaced(`${where}.${key}`, isExternal)));
  const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !misplaced.includes(key)));
  const settings = parse((schema ?? kind.settings) as Kind["settings"], rest, where, problems);
  return settings && misplaced.length === 0 ? { name, kindName, settings: { ...NOTHING_SET, ...settings } } : undefined;
}

/** Of what every service has, and an external one cannot set. */
const NOTHING_SET = z.object(baseSettings).parse({});

const neverExternal = (where: string, kindName: string): Problem => ({
  code: "STACK_PLACE",
  where: `${where}.in`,
  expected: `host or container: engineroom runs each ${kindName} itself`,
  got: "external",
  fix: `take the service out, and name the one that runs elsewhere with kind: web and in: external`,
});

/** A setting of what engineroom runs itself on what it does not, or the other way round. */
const externalMisplaced = (where: string, isExternal: boolean): Problem => ({
  code: "STACK_PLACE",
  where,
  expected: isExternal ? "it only where engineroom runs the service" : "it only where `in` is `external`",
  got: isExternal ? "a service with in: external" : "a service that engineroom runs",
  fix: isExternal ? "remove it: who runs the service decides that" : "remove it, or set `in` to external",
});

function unknownKind(where: string, kind: unknown): Problem {
  const kinds = Object.keys(catalog);
  return {
    code: "STACK_KIND",
    where: `${where}.kind`,
    expected: `one of ${kinds.join(", ")}`,
    got: shown(kind),
    fix: (typeof kind === "string" ? didYouMean(kind, kinds) : undefined) ?? "choose a kind of the list",
  };
}

function modelPlan(
  name: string,
  model: z.output<typeof modelSettings> = { file: "", missing: "fail", stable: 0, waitTimeout: 0 },
  settings: z.output<typeof stackSettings> | undefined,
  context: LoadContext,
): ModelPlan {
  const { host, places, bytesOf } = context;
  const cached = join(host.cacheDir, "models");
  const directory = settings?.modelsDir ? absolute(settings.modelsDir, places.projectDir) : cached;
  const path = absolute(model.file, directory);
  const waits = {
    missing: model.missing,
    stableSeconds: model.stable / 1000,
    waitSeconds: model.waitTimeout / 1000,
  };
  // A projector of another model would not fit.
  if (settings?.models === "small") return { ...smallModel(context), name, standsInFor: path, ...waits };
  const projector = mmprojFile(model);
  const mmproj = projector && absolute(projector, directory);
  const source = modelSource(model, path, mmproj);
  return {
    name,
    path,
    bytes: bytesOf(path),
    ...(model.sha256 && { sha256: model.sha256 }),
    ...(mmproj && { mmproj }),
    ...waits,
    ...(source && { source }),
  };
}

function smallModel({ host, bytesOf }: LoadContext): ModelPlan {
  const path = join(host.cacheDir, "models", SMALL_MODEL.file);
  return {
    name: "small",
    path,
    bytes: bytesOf(path),
    sha256: SMALL_MODEL.sha256,
    missing: "fail",
    stableSeconds: 0,
    waitSeconds: 0,
  };
}

const absolute = (path: string, base: string): string => (isAbsolute(path) ? path : join(base, path));

interface World {
  readonly settings: z.output<typeof stackSettings>;
  /** Names of the secrets that users bring. */
  readonly secrets: ReadonlySet<string>;
  readonly models: ReadonlyMap<string, ModelPlan>;
  readonly broken: ReadonlySet<string>;
  readonly standIns: readonly Draft[];
  readonly context: LoadContext;
}

/** Resolves references, orders, and plans each service after those that it uses. */
function planServices(
  drafts: readonly Draft[],
  world: World & { readonly network: NetworkPlan },
  problems: Problem[],
): { services: readonly ServicePlan[]; disabled: readonly string[] } {
  const disabled = drafts.filter((draft) => !draft.settings.enabled).map((draft) => draft.name);
  const enabled = new Map(drafts.filter((draft) => draft.settings.enabled).map((draft) => [draft.name, draft]));
  const offering = [...enabled.values(), ...world.standIns];
  const contexts = new Map(offering.map((draft) => [draft.name, planContext(draft, world)]));
  const outputs = {
    host: outputsFor("host", offering, contexts),
    container: outputsFor("container", offering, contexts),
  };
  const resolved = new Map(
    [...enabled].map(([name, draft]) => {
      const place = contextOf(contexts, name).in;
      const seenFrom = place === "container" ? outputs.container : outputs.host;
      const scope = { ...world, self: name, outputs: seenFrom, disabled: new Set(disabled) };
      return [name, withEnvFile(draft, resolveSettings(draft, scope, problems), world.context)];
    }),
  );
  for (const [name, draft] of enabled) problems.push(...placeProblems(draft, contextOf(contexts, name), world.context));
  for (const draft of enabled.values()) problems.push(...envFileProblems(draft, world.context));
  problems.push(...portProblems([...enabled.values()], contexts));
  const { order, cycles } = inOrder(new Map([...resolved].map(([name, { needs }]) => [name, needs])));
  problems.push(...cycles.map(cycleProblem));
  const planned = new Map<string, ServicePlan>();
  const domains = [...enabled.values()].flatMap(({ settings }) => (settings["domain"] as string | undefined) ?? []);
  const claimed = new Map<string, string>();
  for (const name of order) {
    const draft = enabled.get(name);
    const { settings, needs, uses } = resolved.get(name) ?? {};
    if (!draft || !settings || !needs || !uses) continue;
    const context = { ...contextOf(contexts, name), uses: needs.flatMap((need) => planned.get(need) ?? []), domains };
    const ownOutputs = outputs.host.get(name) ?? {};
    const { external } = kindOf(draft);
    if (context.in === "external" && external) {
      planned.set(name, externalPlan(draft, external.plan(settings as never, context), context, ownOutputs));
      continue;
    }
    const plan = kindOf(draft).plan(settings, context);
    const usesHost = context.in === "container" && uses.some((use) => isRelayed(contexts.get(use)));
    const rest = { outputs: ownOutputs, usesHost, world };
    if (!("code" in plan)) {
      planned.set(name, completePlan(draft, settings, plan, context, rest));
      problems.push(...claimProblems(name, plan.claims ?? [], claimed));
    }
    // What it needs may be there, and only have a problem of its own.
    else if (plan.code !== "WORKER_WITHOUT_BROKER" || needs.every((need) => planned.has(need))) problems.push(plan);
  }
  const services = [...planned.values()];
  problems.push(...nameProblems(services));
  const used = [...enabled.keys()].filter((name) =>
    [...resolved].some(([user, { uses }]) => contexts.get(user)?.in === "container" && uses.includes(name)),
  );
  const relayed = services.filter(({ name }) => used.includes(name) && isRelayed(contexts.get(name)));
  const relay = relayed.length > 0 ? [relayOf(relayed, world)] : [];
  return { services: [...relay, ...services], disabled };
}

/** No container reaches it by itself. */
const isRelayed = (context: PlanContext | undefined): boolean =>
  context?.in === "host" || (context?.in === "external" && isLoopback(context.at.host));

/** Its own variables win over those of its file. */
function withEnvFile(draft: Draft, resolved: ResolvedDraft, context: LoadContext): ResolvedDraft {
  const names = Object.keys(envFileSecrets(draft, context));
  if (names.length === 0) return resolved;
  const filed = names.map((name) => [name, [hole(`secret.${envSecret(draft, name)}`)]] as const);
  const { settings } = resolved;
  return { ...resolved, settings: { ...settings, env: { ...Object.fromEntries(filed), ...settings.env } } };
}

const envSecret = ({ name }: Draft, variable: string): string => `${name}.env.${variable}`;

/** By variable; nothing where there is no such file. */
function envFileSecrets(
  { settings: { envFile } }: Draft,
  { envFiles, places }: LoadContext,
): Readonly<Record<string, UserSecret>> {
  const found = envFile === undefined ? undefined : envFiles.get(envFile);
  if (envFile === undefined || !found || !("variables" in found)) return {};
  const path = absolute(envFile, places.projectDir);
  return Object.fromEntries(
    Object.entries(found.variables).map(([name, value]) => [name, { from: "envFile", path, value }]),
  );
}

function envFileProblems({ name, settings: { envFile } }: Draft, { envFiles }: LoadContext): readonly Problem[] {
  const found = envFile === undefined ? undefined : envFiles.get(envFile);
  if (envFile === undefined || (found && "variables" in found)) return [];
  const { wrong = "it was not looked at", line } = found ?? {};
  return [
    {
      code: "ENV_FILE",
      where: `services.${name}.envFile`,
      expected: "a file with a variable a line, `KEY=value`",
      got: `\`${envFile}\`: ${wrong}`,
      fix:
        line === undefined ? "correct the path; it is relative to the checkout" : `correct line ${line} of ${envFile}`,
    },
  ];
}

/** Notes what a service claims; a problem where another has it already. */
function claimProblems(name: string, claims: readonly Claim[], claimed: Map<string, string>): readonly Problem[] {
  return claims.flatMap(({ key, setting, code, expected, got, fix }) => {
    const owner = claimed.get(key);
    claimed.set(key, owner ?? name);
    if (owner === undefined) return [];
    return [{ code, where: `services.${name}.${setting}`, expected, got: `${got}, which \`${owner}\` has too`, fix }];
  });
}

/** What each service offers, as seen from this host or from a container of the stack. */
const outputsFor = (
  place: "host" | "container",
  offering: readonly Draft[],
  contexts: ReadonlyMap<string, PlanContext>,
): Scope["outputs"] =>
  new Map(
    offering.map((draft) => {
      const context = contextOf(contexts, draft.name);
      return [draft.name, kindOf(draft).outputs(draft.settings, context, addressFor(place, context))];
    }),
  );

function addressFor(place: "host" | "container", context: PlanContext): Address {
  const { name, in: own, at, port } = context;
  if (place === "host") return at;
  if (own === "container") return { host: name, port };
  return isRelayed(context) ? { host: HOST_NAME, port: at.port } : at;
}

/** The relay is a service of this host like others, only that nobody wrote it down. */
function relayOf(relayed: readonly ServicePlan[], world: World & { readonly network: NetworkPlan }): ServicePlan {
  const draft = { name: RELAY, kindName: "nginx", settings: commonOf("nginx") };
  const context = planContext({ ...draft, settings: { ...draft.settings, in: "host" } }, world);
  const servers = relayed.flatMap(({ ports, external }) => external ?? ports);
  const plan = relayPlan(servers, world.network, context);
  const done = completePlan(draft, { ...draft.settings, env: {} }, plan, context, {
    outputs: {},
    usesHost: false,
    world,
  });
  return { ...done, kind: RELAY, ports: plan.ports };
}

/** A kind's settings where the stack file says nothing. */
function commonOf(kind: string): CommonSettings {
  const settings = catalog[kind]?.settings.safeParse({ kind }).data;
  if (!settings) throw new Error(`kind ${kind} needs settings`);
  return settings;
}

/** Kinds without a default port listen where the user says so. */
const listens = (draft: Draft): boolean =>
  kindOf(draft).defaultPort !== undefined || draft.settings["port"] !== undefined;

const morePortsOf = (draft: Draft) => kindOf(draft).morePorts?.(draft.settings) ?? [];

function kindOf({ kindName }: Draft) {
  const kind = catalog[kindName];
  if (!kind) throw new Error(`kind ${kindName} left the catalog`);
  return kind;
}

function contextOf(contexts: ReadonlyMap<string, PlanContext>, name: string): PlanContext {
  const context = contexts.get(name);
  if (!context) throw new Error(`no context for ${name}`);
  return context;
}

const ANY = "0.0.0.0";

function planContext(
  draft: Draft,
  { context, settings, models }: Pick<World, "context" | "settings" | "models">,
): PlanContext {
  const { places, host } = context;
  const { name } = draft;
  const own = draft.settings as {
    build?: string;
    dev?: boolean;
    port?: number;
    containerPort?: number;
    address?: string;
    host?: string;
  };
  const kind = kindOf(draft);
  const place = draft.settings.in ?? (kind.imageOnly ? "container" : settings.in);
  const port = own.port ?? kind.defaultPort ?? 0;
  const published = own.port ?? (place === "external" ? port : port + settings.portOffset);
  const address = own.host ?? own.address ?? LOOPBACK;
  const source = own.build === undefined ? undefined : sourceOf(own.build, context);
  const onHost = place === "host";
  return {
    name,
    places,
    in: place,
    account: host.asRoot ? SERVICE_USER : context.account,
    accountIds: context.accountIds,
    listen: onHost ? LOOPBACK : ANY,
    port: onHost ? published : (own.containerPort ?? port),
    at: { host: address === ANY ? LOOPBACK : address, port: published },
    home: onHost ? `${places.servicesDir}/${name}` : CONTAINER_HOME,
    hostHome: onHost ? `${places.servicesDir}/${name}` : filesDir(places, name),
    tool: (tool) => toolOf(tool, context.tools),
    imageSource: context.images?.source,
    models,
    ...(settings.models === "small" && { smallModel: smallModel(context) }),
    ...(source && { source: source.kind, directory: source.path }),
    ...(source && onHost && buildOf(source, own.dev === true, host.cacheDir)),
    uses: [],
    domains: [],
  };
}

/** What runs in the directory itself needs no copy of it, and follows no edit in it. */
function buildOf(source: SourceContent, dev: boolean, cacheDir: string): { readonly build?: BuildPlan } {
  const { kind, hash, requirements } = source;
  if (!dev) return kind === "dockerfile" ? {} : { build: buildPlan(source, kind, hash, cacheDir) };
  return requirements === undefined ? {} : { build: buildPlan(source, "environment", requirements, cacheDir) };
}

const sourceOf = (directory: string, { sources }: LoadContext): SourceContent | undefined => {
  const content = sources.get(directory);
  return typeof content === "string" ? undefined : content;
};

/** A tool that is not installed keeps its name in the plan; preflight says so before anything starts. */
const toolOf = (name: ToolName, tools: Tools): Tool => tools[name] ?? { path: name, version: "", source: "host" };

function buildPlan({ path }: SourceContent, kind: BuildPlan["kind"], hash: string, cacheDir: string): BuildPlan {
  const key = `${basename(path)}-${kind === "environment" ? "environment-" : ""}${hash.slice(0, 12)}`;
  return { key, kind, source: path, target: join(cacheDir, "builds", key) };
}

/** Settings that only one of the two makers can carry out. */
const ONLY: Readonly<Record<"host" | "container", readonly string[]>> = {
  host: ["logFile", "errorLog", "pidFile", "dev"],
  container: ["containerName", "volumeName", "cpus", "image", "runAs", "readOnly", "capabilities"],
};

/** What does not go with where a service runs. */
function placeProblems(draft: Draft, { in: place }: PlanContext, context: LoadContext): readonly Problem[] {
  if (place === "external") return [];
  const { name, settings } = draft;
  if (place === "host" && kindOf(draft).imageOnly) return [imageOnly(draft)];
  const other = place === "host" ? "container" : "host";
  const misplaced = ONLY[other]
    .filter((key) => settings[key] !== undefined)
    .map((key) => ({
      code: "STACK_PLACE",
      where: `services.${name}.${key}`,
      expected: `it only where \`in\` is \`${other}\``,
      got: `a service with in: ${place}`,
      fix: `remove it, or set services.${name}.in to ${other}`,
    }));
  return [...misplaced, ...buildProblems(draft, place, context)];
}

const imageOnly = ({ name, kindName }: Draft): Problem => ({
  code: "STACK_PLACE",
  where: `services.${name}.in`,
  expected: `container: a ${kindName} only ships as an image`,
  got: "host",
  fix: `remove services.${name}.in, or set it to container`,
});

function buildProblems(
  { name, settings, kindName }: Draft,
  place: Place,
  { sources }: LoadContext,
): readonly Problem[] {
  const { build, image } = settings as { build?: string; image?: string };
  if (build === undefined) {
    const needsOne = place === "container" && image === undefined && NEEDS_IMAGE.has(kindName);
    return needsOne ? [withoutImage(name)] : [];
  }
  const where = `services.${name}.build`;
  const content = sources.get(build) ?? "it was not looked at";
  const wanted = place === "host" ? FILES : `Dockerfile, ${FILES}`;
  const wrong = typeof content === "string" ? content : place === "host" && content.kind === "dockerfile" && NO_FILES;
  if (wrong) {
    const fix = "correct the path; it is relative to the checkout";
    return [
      { code: "BUILD_SOURCE", where, expected: `a directory with ${wanted}`, got: `\`${build}\`: ${wrong}`, fix },
    ];
  }
  // On the host an image is out of place by itself.
  if (image === undefined || place === "host") return [];
  return [{ code: "BUILD_AND_IMAGE", where, expected: "one of `build` and `image`", got: "both", fix: "remove one" }];
}

const FILES = "requirements.txt, pyproject.toml or package.json";
const NO_FILES = "it has none of these files";
/** Kinds without an image of their own. */
const NEEDS_IMAGE: ReadonlySet<string> = new Set([
  ...["web", "job", "process", "worker"],
  ...["celery-worker", "celery-beat", "dramatiq-worker", "rq-worker"],
]);

const withoutImage = (name: string): Problem => ({
  code: "IMAGE_UNNAMED",
  where: `services.${name}`,
  expected: "`build` or `image`, which a container is made of",
  got: "neither",
  fix: `set services.${name}.build to the application's directory, or services.${name}.image`,
});

interface ResolvedDraft {
  readonly settings: Omit<CommonSettings, "env"> & { readonly env: Readonly<Record<string, Text>> };
  /** Services that must be ready first. */
  readonly needs: readonly string[];
  /** Services that it refers to, waited for or not. */
  readonly uses: readonly string[];
}

/** Settings whose references order nothing: nginx starts before its targets and needs no restart when they come. */
const NOT_WAITED_FOR: ReadonlySet<string> = new Set(["routes", "targets", "datasources"]);
/** Settings that are the name of a secret. */
const SECRET_SETTINGS: ReadonlySet<string> = new Set(["password", "secretKey"]);
/** Settings that may hold secrets: they go to the program as private files. */
const PRIVATE_SETTINGS: ReadonlySet<string> = new Set(["env", "files"]);

function resolveSettings(draft: Draft, scope: Scope, problems: Problem[]): ResolvedDraft {
  const needs = new Set<string>(named(draft, "needs", scope, problems));
  const unawaited = new Set(named(draft, "doesNotWaitFor", scope, problems));
  const referred = new Set<string>();
  const read = (text: string, path: readonly (string | number)[]): Text => {
    const { text: found, uses, problems: trouble } = resolve(text, scope);
    for (const use of uses) {
      referred.add(use);
      if (!NOT_WAITED_FOR.has(String(path[0])) && !unawaited.has(use)) needs.add(use);
    }
    const where = ["services", draft.name, ...path].join(".");
    for (const problem of trouble) problems.push({ where, ...problem });
    return found;
  };
  const plain = (text: string, path: readonly (string | number)[]): string => {
    const found = read(text, path);
    if (secretsIn(found).length > 0) problems.push(secretInPlain(draft.name, path));
    return found.filter((part) => typeof part === "string").join("");
  };
  const text = (value: string, path: readonly (string | number)[]): string | Text => {
    const key = String(path[0]);
    if (PRIVATE_SETTINGS.has(key)) return read(value, path);
    if (!SECRET_SETTINGS.has(key)) return plain(value, path);
    read(`\${${value}}`, path);
    return value;
  };
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (typeof value === "string") return text(value, path);
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      sortedEntries(value as Readonly<Record<string, unknown>>).map(([key, item]) => [key, walk(item, [...path, key])]),
    );
  };
  const { needs: _needs, doesNotWaitFor: _unawaited, ...rest } = draft.settings;
  const settings = walk(rest, []) as ResolvedDraft["settings"];
  return { settings, needs: [...needs].sort(), uses: [...referred].sort() };
}

/** Pulumi hands the keys of a map over sorted, the file has them in its own order: both make the same plan. */
const sortedEntries = <Value>(map: Readonly<Record<string, Value>>): [string, Value][] =>
  Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));

/** Services that a setting names; `name?` where one may be disabled. */
function named(draft: Draft, key: "needs" | "doesNotWaitFor", scope: Scope, problems: Problem[]): readonly string[] {
  return draft.settings[key].flatMap((need, index) => {
    const name = need.replace(/\?$/, "");
    if (scope.outputs.has(name) || scope.broken.has(name)) return [name];
    if (name !== need && scope.disabled.has(name)) return [];
    problems.push({ where: `services.${draft.name}.${key}.${index}`, ...absent(name, `${name}?`, scope) });
    return [];
  });
}

function secretInPlain(name: string, path: readonly (string | number)[]): Problem {
  return {
    code: "SECRET_MISPLACED",
    where: ["services", name, ...path].join("."),
    expected: "no secret: everyone on this machine can read a program's arguments and settings",
    got: "a reference to a secret",
    fix: `put it under services.${name}.env, which goes to the program as a private file`,
  };
}

function cycleProblem(cycle: readonly string[]): Problem {
  return {
    code: "STACK_CYCLE",
    where: `services.${cycle[0] ?? ""}`,
    expected: "an order in which each service starts after what it needs",
    got: `a cycle: ${cycle.join(" → ")}`,
    fix: "take one of these references or `needs` away",
  };
}

interface Completion {
  /** As this host sees them. */
  readonly outputs: ServicePlan["outputs"];
  readonly usesHost: boolean;
  readonly world: World;
}

function completePlan(
  draft: Draft,
  settings: ResolvedDraft["settings"],
  plan: KindPlan,
  context: PlanContext,
  completion: Completion,
): ServicePlan {
  const { name, places, build, at } = context;
  const onHost = context.in === "host";
  const kind = kindOf(draft);
  const address = (draft.settings as { address?: string }).address ?? LOOPBACK;
  const path = (file: string): string => absolute(file, places.projectDir);
  const needs = context.uses.map((service) => service.name);
  const memoryBytes = settings.memory ?? (onHost ? undefined : plan.container?.memoryBytes);
  const volume = onHost ? undefined : volumesOf(plan)[0];
  const gpu = gpuPlan((draft.settings as { gpu?: GpuSettings }).gpu);
  return {
    name,
    kind: draft.kindName,
    in: context.in,
    required: settings.required,
    needs: completion.usesHost ? [RELAY, ...needs] : needs,
    run: kind.run ?? "service",
    argv: plan.argv,
    cwd: plan.cwd ? path(plan.cwd) : build && !plan.files ? build.target : `${places.servicesDir}/${name}`,
    env: { ...(onHost ? toolEnv(plan, context) : {}), ...(onHost && gpu && gpuEnv(gpu)), ...plan.env, ...settings.env },
    files: plan.files ?? [],
    ...(plan.reload && { reload: plan.reload }),
    directories: onHost ? (plan.directories ?? []) : [],
    ports: [
      ...(listens(draft) ? [{ host: address, port: at.port }] : []),
      ...morePortsOf(draft).map((more) => ({ host: address, port: more.port })),
    ],
    // What may fail is not waited for: after a restart of the machine it might never come.
    gates: onHost ? context.uses.filter(({ required }) => required).flatMap((service) => gatesOf(service, places)) : [],
    tools: onHost ? (plan.tools ?? []) : [],
    ...(build && { build }),
    ...(plan.source && { source: plan.source }),
    ...(plan.model && { model: plan.model }),
    ...(plan.serves && plan.serves.length > 0 && { serves: plan.serves }),
    ...(plan.loads && { loads: plan.loads }),
    ...(plan.check && { check: onGpu(plan.check, gpu, context) }),
    ...(gpu && { gpu }),
    readyTimeoutMs: settings.ready?.timeout ?? plan.readyTimeoutMs,
    restart: settings.restart ?? "no",
    stopSignal: settings.stopSignal ?? plan.stopSignal ?? "TERM",
    stopGraceMs: settings.stopGrace ?? plan.stopGraceMs ?? 10_000,
    ...(plan.drains && { drains: true }),
    ...(plan.consumes && { consumes: plan.consumes }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    generates: plan.generates ?? [],
    ...(onHost
      ? plan.dataIdFile && { dataIdFile: plan.dataIdFile }
      : volume && { dataIdFile: dataIdFile(places, name) }),
    dataKept: ((draft.settings as { data?: string }).data ?? completion.world.settings.data) === "kept",
    logFile: settings.logFile ? path(settings.logFile) : `${places.logsDir}/${name}.log`,
    ...(settings.errorLog && { errorLog: path(settings.errorLog) }),
    ...(settings.pidFile && { pidFile: path(settings.pidFile) }),
    ...(!onHost && { container: containerPlan(draft, plan, context, completion) }),
    outputs: completion.outputs,
  };
}

/** Of a service that somebody else runs: nothing is started, and nothing of it is taken here. */
function externalPlan(
  draft: Draft,
  { check, files = [] }: ExternalPlan,
  { name, places, at, uses }: PlanContext,
  outputs: ServicePlan["outputs"],
): ServicePlan {
  return {
    name,
    kind: draft.kindName,
    in: "external",
    required: draft.settings.required,
    needs: uses.map((service) => service.name),
    run: "service",
    argv: [],
    cwd: places.stackDir,
    env: {},
    files,
    directories: [],
    ports: [],
    gates: [],
    tools: [],
    check,
    readyTimeoutMs: draft.settings.ready?.timeout ?? EXTERNAL_TIMEOUT_MS,
    restart: "no",
    stopSignal: "TERM",
    stopGraceMs: 0,
    generates: [],
    dataKept: true,
    logFile: `${places.logsDir}/${name}.log`,
    external: at,
    outputs,
  };
}

/** It should be there already. */
const EXTERNAL_TIMEOUT_MS = 15_000;

/** A model server proves its own use of a GPU; of another container it is proven that it sees its cards. */
const onGpu = (check: Check, gpu: GpuPlan | undefined, { in: place }: PlanContext): Check =>
  gpu === undefined || check.gpu || place === "host" ? check : { ...check, gpu };

/** What their names end with, and where they go. */
const volumesOf = ({ container }: KindPlan): readonly (readonly [string, string])[] => [
  ...(container?.volume ? [["", container.volume] as const] : []),
  ...Object.entries(container?.moreVolumes ?? {}).map(([name, target]) => [`-${name}`, target] as const),
];

/** The id of a container's data is that of its volume, noted where jobs of this host can read it. */
const dataIdFile = (places: StackPlaces, name: string): string => `${places.containersDir}/${name}/data-id`;

interface ContainerSettings {
  readonly containerName?: string;
  readonly volumeName?: string;
  readonly build?: string;
  readonly image?: string;
  readonly runAs?: string;
  readonly readOnly?: boolean;
  readonly capabilities?: readonly string[];
  readonly cwd?: string;
  readonly cpus?: number;
}

/**
 * Capabilities that official images start with before they change to a user of their own. An image of ours, or one by
 * our contract, starts as that user and needs none.
 */
const STARTER_CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"];

function containerPlan(
  draft: Draft,
  plan: KindPlan,
  context: PlanContext,
  { usesHost, world }: Completion,
): ContainerPlan {
  const { name, places, port } = context;
  const settings = draft.settings as ContainerSettings;
  const image = imageOf(settings, plan, context, world.context);
  // Of somebody else's image nothing is known.
  const known = image.from !== "user" && !(image.from === "build" && image.build.kind === "dockerfile");
  const user = settings.runAs ?? plan.container?.user ?? (known ? APPLICATION_USER : undefined);
  const kept = ((draft.settings as { data?: string }).data ?? world.settings.data) === "kept";
  const workingDir = settings.cwd ?? (known && image.from === "build" ? "/app" : undefined);
  return {
    name: settings.containerName ?? `${places.stack}-${name}`,
    image,
    ...(user && { user }),
    ...(workingDir && { workingDir: workingDir.startsWith("/") ? workingDir : `/app/${workingDir}` }),
    ...(plan.container?.args && { args: plan.container.args }),
    internalPorts: [...(listens(draft) ? [port] : []), ...morePortsOf(draft).map(({ inside }) => inside)],
    volumes: volumesOf(plan).map(([suffix, target]) => ({
      name: `${settings.volumeName ?? `${places.stack}-${name}`}${suffix}`,
      target,
      kept,
    })),
    mounts: plan.container?.mounts ?? {},
    readOnly: settings.readOnly ?? known,
    capabilities: settings.capabilities ?? (known ? [] : STARTER_CAPABILITIES),
    ...(settings.cpus !== undefined && { cpus: settings.cpus }),
    usesHost,
  };
}

function imageOf(settings: ContainerSettings, plan: KindPlan, context: PlanContext, load: LoadContext): ContainerImage {
  if (settings.image !== undefined) return { from: "user", reference: settings.image };
  const setUp = (name: ImageName): string => load.images?.references[name] ?? `engineroom/${name}`;
  const source = settings.build === undefined ? undefined : sourceOf(settings.build, load);
  if (source) {
    const base = { python: setUp("python"), node: setUp("node"), nginx: setUp("nginx") };
    const build = imageBuildPlan(basename(source.path), source, base, {
      places: context.places,
      cacheDir: load.host.cacheDir,
    });
    return { from: "build", build, reference: build.reference };
  }
  const name = plan.container?.image ?? "python";
  return { from: "set-up", name, reference: setUp(name) };
}

function toolEnv(plan: KindPlan, context: PlanContext): Readonly<Record<string, Text>> {
  const variables = (plan.tools ?? []).flatMap((name) => Object.entries(context.tool(name).env ?? {}));
  return Object.fromEntries(variables.map(([name, value]) => [name, [value]]));
}

/** Where a job's success is noted. */
export const doneFile = (places: StackPlaces, { name, in: place }: Pick<ServicePlan, "name" | "in">): string =>
  `${place === "host" ? places.servicesDir : places.containersDir}/${name}/done.json`;

function gatesOf(service: ServicePlan, places: StackPlaces): readonly StartGate[] {
  if (service.run === "job") return [{ file: doneFile(places, service) }];
  return (service.external ? [service.external] : service.ports).map((port) => ({ port }));
}

interface PortClaim {
  readonly name: string;
  /** Of the setting. */
  readonly key: string;
  readonly port: number;
  readonly isDefault: boolean;
  readonly isExternal: boolean;
}

const portClaims = (draft: Draft, contexts: ReadonlyMap<string, PlanContext>): readonly PortClaim[] => {
  const { name, settings } = draft;
  const { in: place, at } = contextOf(contexts, name);
  const { port } = at;
  const isExternal = place === "external";
  // On another machine it is in nobody's way.
  if (isExternal && !isLoopback(at.host)) return [];
  return [
    ...(listens(draft) ? [{ name, key: "port", port, isDefault: settings["port"] === undefined, isExternal }] : []),
    ...morePortsOf(draft).map(({ key, port }) => ({ name, key, port, isDefault: false, isExternal })),
  ];
};

function portProblems(drafts: readonly Draft[], contexts: ReadonlyMap<string, PlanContext>): readonly Problem[] {
  const owners = new Map<number, PortClaim>();
  return drafts
    .flatMap((draft) => portClaims(draft, contexts))
    .flatMap((claim) => {
      const { name, key, port, isDefault, isExternal } = claim;
      const where = `services.${name}.${key}`;
      if (port > MAX_PORT) {
        return {
          code: "PORT_RANGE",
          where,
          expected: `a port of at most ${MAX_PORT}`,
          got: `${port}, its default plus settings.portOffset`,
          fix: `set ${where}, or a smaller settings.portOffset`,
        };
      }
      const owner = owners.get(port);
      owners.set(port, owner ?? claim);
      // Two names for one server of somebody else's.
      if (owner === undefined || (owner.isExternal && isExternal)) return [];
      return {
        code: "PORT_CLASH",
        where,
        expected: "a port of its own",
        got: `${port}${isDefault ? " (its default)" : ""}, which \`${owner.name}\` has too`,
        fix: `set ${where} to another number`,
      };
    });
}

const MAX_PORT = 65_535;

/** What an engine has only one of by a name. */
function nameProblems(services: readonly ServicePlan[]): readonly Problem[] {
  const named = services.flatMap(({ name, container }) => [
    ...(container ? [{ name, key: "containerName", value: container.name }] : []),
    ...(container?.volumes ?? []).map((volume) => ({ name, key: "volumeName", value: volume.name })),
  ]);
  return named.flatMap(({ name, key, value }, index) => {
    const first = named.findIndex((other) => other.key === key && other.value === value);
    if (first === index) return [];
    return {
      code: "NAME_CLASH",
      where: `services.${name}.${key}`,
      expected: "a name of its own",
      got: `\`${value}\`, which \`${named[first]?.name ?? ""}\` has too`,
      fix: `set services.${name}.${key} to another name`,
    };
  });
}

const distinct = <Build extends { readonly key: string }>(builds: readonly Build[]): readonly Build[] => [
  ...new Map(builds.map((build) => [build.key, build])).values(),
];
