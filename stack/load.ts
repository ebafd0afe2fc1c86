import { basename, isAbsolute, join } from "node:path";
import type { z } from "zod";
import type { Kind, KindPlan, PlanContext } from "#components/kind.ts";
import { LOOPBACK } from "#components/kind.ts";
import { catalog } from "#components/catalog.ts";
import type { Tool, ToolName, Tools } from "#setup/tools.ts";
import { inOrder } from "./order.ts";
import type { HostPlaces, StackPlaces } from "./places.ts";
import { SERVICE_USER } from "./places.ts";
import type { BuildPlan, ModelPlan, ServicePlan, StackPlan, StartGate } from "./plan.ts";
import { didYouMean, inFileOrder, shown, type Problem } from "./problems.ts";
import { absent, resolve, type Scope } from "./references.ts";
import {
  modelName,
  modelSettings,
  secretName,
  secretSettings,
  type sections,
  serviceName,
  stackSettings,
  type CommonSettings,
} from "./schema.ts";
import { secretsIn, type Text } from "./text.ts";
import { zodProblems } from "./zod-problems.ts";

/** The sections of a stack file as they stand there, secrets decrypted. */
export type RawStack = Readonly<Partial<Record<(typeof sections)[number], unknown>>>;

/** What planning must know of this host: data, gathered beforehand. */
export interface LoadContext {
  readonly host: HostPlaces;
  readonly places: StackPlaces;
  readonly tools: Tools;
  /** Name of the account that runs engineroom. */
  readonly account: string;
  /** Content of each `build` directory, by its path as the stack file has it; a string says why there is none. */
  readonly sources: ReadonlyMap<string, SourceContent | string>;
}

export interface SourceContent {
  readonly path: string;
  readonly kind: "python" | "node";
  /** SHA-256, hex. */
  readonly hash: string;
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
  const { drafts, broken, standIns } = parseServices(raw.services, problems);
  const world = {
    // What is wrong with one section hides nothing that is wrong with another.
    settings: settings ?? stackSettings.parse({}),
    secrets: new Set(secrets.keys()),
    models: new Map([...models].map(([name, model]) => [name, modelPlan(name, model, settings?.modelsDir, context)])),
    broken,
    standIns,
    context,
  };
  const stack = planServices(drafts, world, problems);
  if (problems.length > 0) return { problems: inFileOrder(problems, raw) };
  return {
    plan: {
      places: context.places,
      services: stack.services,
      disabled: stack.disabled,
      secrets: Object.fromEntries([...secrets].flatMap(([name, secret]) => (secret ? [[name, secret]] : []))),
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
  const settings = parse(kind.settings, value, where, problems);
  return settings && { name, kindName, settings };
}

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
  model: z.output<typeof modelSettings> = { file: "", missing: "fail", stable: 0 },
  modelsDir: string | undefined,
  { host, places }: LoadContext,
): ModelPlan {
  const directory = modelsDir ? absolute(modelsDir, places.projectDir) : join(host.cacheDir, "models");
  return {
    name,
    path: absolute(model.file, directory),
    ...(model.sha256 && { sha256: model.sha256 }),
    ...(model.mmproj && { mmproj: absolute(model.mmproj, directory) }),
    missing: model.missing,
    stableSeconds: model.stable / 1000,
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
  world: World,
  problems: Problem[],
): { services: readonly ServicePlan[]; disabled: readonly string[] } {
  const disabled = drafts.filter((draft) => !draft.settings.enabled).map((draft) => draft.name);
  const enabled = new Map(drafts.filter((draft) => draft.settings.enabled).map((draft) => [draft.name, draft]));
  const offering = [...enabled.values(), ...world.standIns];
  const contexts = new Map(offering.map((draft) => [draft.name, planContext(draft, world, problems)]));
  const outputs = new Map(
    offering.map((draft) => [draft.name, kindOf(draft).outputs(draft.settings, contextOf(contexts, draft.name))]),
  );
  const resolved = new Map(
    [...enabled].map(([name, draft]) => {
      const scope = { ...world, self: name, outputs, disabled: new Set(disabled) };
      return [name, resolveSettings(draft, scope, problems)];
    }),
  );
  problems.push(...portProblems([...enabled.values()], contexts));
  const { order, cycles } = inOrder(new Map([...resolved].map(([name, { needs }]) => [name, needs])));
  problems.push(...cycles.map(cycleProblem));
  const planned = new Map<string, ServicePlan>();
  for (const name of order) {
    const draft = enabled.get(name);
    const { settings, needs } = resolved.get(name) ?? {};
    if (!draft || !settings || !needs) continue;
    const context = { ...contextOf(contexts, name), uses: needs.flatMap((need) => planned.get(need) ?? []) };
    const plan = kindOf(draft).plan(settings, context);
    if (!("code" in plan)) planned.set(name, completePlan(draft, settings, plan, context, outputs.get(name) ?? {}));
    // What it needs may be there, and only have a problem of its own.
    else if (plan.code !== "WORKER_WITHOUT_BROKER" || needs.every((need) => planned.has(need))) problems.push(plan);
  }
  return { services: [...planned.values()], disabled };
}

/** Kinds without a default port listen where the user says so. */
const listens = (draft: Draft): boolean =>
  kindOf(draft).defaultPort !== undefined || draft.settings["port"] !== undefined;

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

function planContext(draft: Draft, world: World, problems: Problem[]): PlanContext {
  const { context, settings, models } = world;
  const { build: directory, port } = draft.settings as { build?: string; port?: number };
  const build = directory === undefined ? undefined : buildPlan(draft, directory, context, problems);
  return {
    name: draft.name,
    places: context.places,
    account: context.host.asRoot ? SERVICE_USER : context.account,
    port: port ?? (kindOf(draft).defaultPort ?? 0) + settings.portOffset,
    tool: (name) => toolOf(name, context.tools),
    models,
    ...(build && { build }),
    uses: [],
  };
}

/** A tool that is not installed keeps its name in the plan; preflight says so before anything starts. */
const toolOf = (name: ToolName, tools: Tools): Tool => tools[name] ?? { path: name, version: "", source: "host" };

function buildPlan(
  draft: Draft,
  directory: string,
  { sources, host }: LoadContext,
  problems: Problem[],
): BuildPlan | undefined {
  const content = sources.get(directory) ?? "it was not looked at";
  if (typeof content === "string") {
    problems.push({
      code: "BUILD_SOURCE",
      where: `services.${draft.name}.build`,
      expected: "a directory with requirements.txt, pyproject.toml or package.json",
      got: `\`${directory}\`: ${content}`,
      fix: "correct the path; it is relative to the checkout",
    });
    return undefined;
  }
  const key = `${basename(content.path)}-${content.hash.slice(0, 12)}`;
  return { key, kind: content.kind, source: content.path, target: join(host.cacheDir, "builds", key) };
}

interface ResolvedDraft {
  readonly settings: Omit<CommonSettings, "env"> & { readonly env: Readonly<Record<string, Text>> };
  /** Services that must be ready first. */
  readonly needs: readonly string[];
}

/** Settings whose references order nothing: nginx starts before its targets and needs no restart when they come. */
const NOT_WAITED_FOR: ReadonlySet<string> = new Set(["routes"]);

function resolveSettings(draft: Draft, scope: Scope, problems: Problem[]): ResolvedDraft {
  const needs = new Set<string>(explicitNeeds(draft, scope, problems));
  const read = (text: string, path: readonly (string | number)[]): Text => {
    const { text: found, uses, problems: trouble } = resolve(text, scope);
    if (!NOT_WAITED_FOR.has(String(path[0]))) for (const use of uses) needs.add(use);
    const where = ["services", draft.name, ...path].join(".");
    for (const problem of trouble) problems.push({ where, ...problem });
    return found;
  };
  const plain = (text: string, path: readonly (string | number)[]): string => {
    const found = read(text, path);
    if (secretsIn(found).length > 0) problems.push(secretInPlain(draft.name, path));
    return found.filter((part) => typeof part === "string").join("");
  };
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (typeof value === "string") return plain(value, path);
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      sortedEntries(value as Readonly<Record<string, unknown>>).map(([key, item]) => [key, walk(item, [...path, key])]),
    );
  };
  const { env, needs: _needs, password, ...rest } = draft.settings;
  if (typeof password === "string") read(`\${${password}}`, ["password"]);
  const settings = {
    ...(walk(rest, []) as CommonSettings),
    ...(password !== undefined && { password }),
    env: Object.fromEntries(sortedEntries(env).map(([name, text]) => [name, read(text, ["env", name])])),
  };
  return { settings, needs: [...needs].sort() };
}

/** Pulumi hands the keys of a map over sorted, the file has them in its own order: both make the same plan. */
const sortedEntries = <Value>(map: Readonly<Record<string, Value>>): [string, Value][] =>
  Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));

function explicitNeeds(draft: Draft, scope: Scope, problems: Problem[]): readonly string[] {
  return draft.settings.needs.flatMap((need, index) => {
    const name = need.replace(/\?$/, "");
    if (scope.outputs.has(name) || scope.broken.has(name)) return [name];
    if (name !== need && scope.disabled.has(name)) return [];
    problems.push({ where: `services.${draft.name}.needs.${index}`, ...absent(name, `${name}?`, scope) });
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

function completePlan(
  draft: Draft,
  settings: ResolvedDraft["settings"],
  plan: KindPlan,
  context: PlanContext,
  outputs: ServicePlan["outputs"],
): ServicePlan {
  const { name, places, build } = context;
  const kind = kindOf(draft);
  const address = (draft.settings as { address?: string }).address ?? LOOPBACK;
  const path = (file: string): string => absolute(file, places.projectDir);
  return {
    name,
    kind: draft.kindName,
    in: "host",
    required: settings.required,
    needs: context.uses.map((service) => service.name),
    run: kind.run ?? "service",
    argv: plan.argv,
    cwd: plan.cwd ? path(plan.cwd) : build && !plan.files ? build.target : `${places.servicesDir}/${name}`,
    env: { ...toolEnv(plan, context), ...plan.env, ...settings.env },
    files: plan.files ?? [],
    directories: plan.directories ?? [],
    ports: listens(draft) ? [{ host: address, port: context.port }] : [],
    // What may fail is not waited for: after a restart of the machine it might never come.
    gates: context.uses.filter(({ required }) => required).flatMap((service) => gatesOf(service, places)),
    tools: plan.tools ?? [],
    ...(build && { build }),
    ...(plan.model && { model: plan.model }),
    ...(plan.check && { check: plan.check }),
    readyTimeoutMs: settings.ready?.timeout ?? plan.readyTimeoutMs,
    restart: settings.restart ?? "no",
    stopSignal: settings.stopSignal ?? plan.stopSignal ?? "TERM",
    stopGraceMs: settings.stopGrace ?? plan.stopGraceMs ?? 10_000,
    ...(settings.memory !== undefined && { memoryBytes: settings.memory }),
    generates: plan.generates ?? [],
    ...(plan.dataIdFile && { dataIdFile: plan.dataIdFile }),
    logFile: settings.logFile ? path(settings.logFile) : `${places.logsDir}/${name}.log`,
    ...(settings.errorLog && { errorLog: path(settings.errorLog) }),
    ...(settings.pidFile && { pidFile: path(settings.pidFile) }),
    outputs,
  };
}

function toolEnv(plan: KindPlan, context: PlanContext): Readonly<Record<string, Text>> {
  const variables = (plan.tools ?? []).flatMap((name) => Object.entries(context.tool(name).env ?? {}));
  return Object.fromEntries(variables.map(([name, value]) => [name, [value]]));
}

/** Where a job's success is noted. */
export const doneFile = (places: StackPlaces, job: string): string => `${places.servicesDir}/${job}/done.json`;

function gatesOf(service: ServicePlan, places: StackPlaces): readonly StartGate[] {
  return service.run === "job" ? [{ file: doneFile(places, service.name) }] : service.ports.map((port) => ({ port }));
}

function portProblems(drafts: readonly Draft[], contexts: ReadonlyMap<string, PlanContext>): readonly Problem[] {
  const owners = new Map<number, string>();
  return drafts.filter(listens).flatMap(({ name, settings }) => {
    const { port } = contextOf(contexts, name);
    const where = `services.${name}.port`;
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
    owners.set(port, owner ?? name);
    if (owner === undefined) return [];
    return {
      code: "PORT_CLASH",
      where,
      expected: "a port of its own",
      got: `${port}${settings["port"] === undefined ? " (its default)" : ""}, which \`${owner}\` has too`,
      fix: `set ${where} to another number`,
    };
  });
}

const MAX_PORT = 65_535;

const distinct = (builds: readonly BuildPlan[]): readonly BuildPlan[] => [
  ...new Map(builds.map((build) => [build.key, build])).values(),
];
