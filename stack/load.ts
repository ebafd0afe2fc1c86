import { basename, isAbsolute, join } from "node:path";
import type { z } from "zod";
import type { KindPlan, PlanContext } from "#components/kind.ts";
import { LOOPBACK } from "#components/kind.ts";
import { catalog } from "#components/catalog.ts";
import type { Tool, ToolName, Tools } from "#setup/tools.ts";
import { inOrder } from "./order.ts";
import type { HostPlaces, StackPlaces } from "./places.ts";
import { SERVICE_USER } from "./places.ts";
import type { BuildPlan, ModelPlan, ServicePlan, StackPlan, StartGate, UserSecret } from "./plan.ts";
import { nearest, type Problem } from "./problems.ts";
import { resolve, type Scope } from "./references.ts";
import { modelSettings, NAME, secretSettings, sections, stackSettings, type CommonSettings } from "./schema.ts";
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
  const secrets = parseEach(raw.secrets, "secrets", secretSettings, problems) as Map<string, UserSecret>;
  const models = new Map(
    [...parseEach(raw.models, "models", modelSettings, problems)].map(([name, model]) => [
      name,
      modelPlan(name, model, settings?.modelsDir, context),
    ]),
  );
  const drafts = parseServices(raw.services, problems);
  if (!settings) return { problems };
  const stack = planServices(drafts, { settings, secrets, models, context }, problems);
  problems.push(...portClashes(stack.services));
  if (problems.length > 0) return { problems };
  return {
    plan: {
      places: context.places,
      services: stack.services,
      disabled: stack.disabled,
      secrets: Object.fromEntries(secrets),
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
  problems.push(...zodProblems(result.error, value, where));
  return undefined;
}

function parseEach<Schema extends z.ZodType>(
  section: unknown,
  where: string,
  schema: Schema,
  problems: Problem[],
): Map<string, z.output<Schema>> {
  const parsed = new Map<string, z.output<Schema>>();
  for (const [name, value] of entriesOf(section, where, problems)) {
    const result = parse(schema, value, `${where}.${name}`, problems);
    if (result !== undefined) parsed.set(name, result);
  }
  return parsed;
}

function entriesOf(section: unknown, where: string, problems: Problem[]): [string, unknown][] {
  if (section === undefined || section === null) return [];
  if (typeof section !== "object" || Array.isArray(section)) {
    problems.push({
      code: "STACK_TYPE",
      where,
      expected: "names with their settings",
      got: Array.isArray(section) ? "a list" : `\`${String(section as string | number | boolean)}\``,
      fix: `write engineroom:${where}: { NAME: { … } }`,
    });
    return [];
  }
  return Object.entries(section);
}

function parseServices(section: unknown, problems: Problem[]): readonly Draft[] {
  const drafts: Draft[] = [];
  for (const [name, value] of entriesOf(section, "services", problems)) {
    const where = `services.${name}`;
    if (!NAME.test(name)) {
      problems.push({
        code: "STACK_NAME",
        where,
        expected: "a name of at most 31 lower-case letters, digits and hyphens",
        got: `\`${name}\``,
        fix: `rename it to \`${name.toLowerCase().replace(/[^a-z0-9-]+/g, "-")}\``,
      });
      continue;
    }
    const kindName = (value as { kind?: unknown } | null)?.kind;
    const kind = typeof kindName === "string" ? catalog[kindName] : undefined;
    if (typeof kindName !== "string" || !kind) {
      problems.push(unknownKind(where, kindName));
      continue;
    }
    const settings = parse(kind.settings, value, where, problems);
    if (settings) drafts.push({ name, kindName, settings: settings as Draft["settings"] });
  }
  if (drafts.length === 0 && problems.length === 0) {
    problems.push({
      code: "STACK_EMPTY",
      where: "services",
      expected: "at least one service",
      got: "none",
      fix: "add one under engineroom:services, as Pulumi.local.yaml does",
    });
  }
  return drafts;
}

function unknownKind(where: string, kind: unknown): Problem {
  const kinds = Object.keys(catalog);
  const similar = typeof kind === "string" ? nearest(kind, kinds) : undefined;
  return {
    code: "STACK_KIND",
    where: `${where}.kind`,
    expected: `one of ${kinds.join(", ")}`,
    got: kind === undefined ? "nothing" : `\`${JSON.stringify(kind)}\``,
    fix: similar ? `did you mean \`${similar}\`?` : "choose a kind of the list",
  };
}

function modelPlan(
  name: string,
  model: z.output<typeof modelSettings>,
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
  readonly secrets: ReadonlyMap<string, UserSecret>;
  readonly models: ReadonlyMap<string, ModelPlan>;
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
  const contexts = new Map([...enabled].map(([name, draft]) => [name, planContext(draft, world, problems)]));
  const outputs = new Map(
    [...enabled].map(([name, draft]) => [name, kindOf(draft).outputs(draft.settings, contextOf(contexts, name))]),
  );
  const resolved = new Map(
    [...enabled].map(([name, draft]) => {
      const scope = { self: name, outputs, disabled: new Set(disabled), secrets: new Set(world.secrets.keys()) };
      return [name, resolveSettings(draft, scope, problems)];
    }),
  );
  const ordered = inOrder(new Map([...resolved].map(([name, { needs }]) => [name, needs])));
  if ("cycle" in ordered) {
    problems.push(cycleProblem(ordered.cycle));
    return { services: [], disabled };
  }
  const planned = new Map<string, ServicePlan>();
  for (const name of ordered.order) {
    const draft = enabled.get(name);
    const { settings, needs } = resolved.get(name) ?? {};
    if (!draft || !settings || !needs) continue;
    const context = { ...contextOf(contexts, name), uses: needs.flatMap((need) => planned.get(need) ?? []) };
    const plan = kindOf(draft).plan(settings, context);
    if ("code" in plan) problems.push(plan);
    else planned.set(name, completePlan(draft, settings, plan, context, outputs.get(name) ?? {}));
  }
  problems.push(...[...planned.values()].flatMap((service) => secretProblems(service, world.secrets)));
  return { services: [...planned.values()], disabled };
}

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
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]));
  };
  const { env, needs: _needs, ...rest } = draft.settings;
  const settings = {
    ...(walk(rest, []) as CommonSettings),
    env: Object.fromEntries(Object.entries(env).map(([name, text]) => [name, read(text, ["env", name])])),
  };
  return { settings, needs: [...needs] };
}

function explicitNeeds(draft: Draft, scope: Scope, problems: Problem[]): readonly string[] {
  return draft.settings.needs.flatMap((need, index) => {
    const name = need.replace(/\?$/, "");
    if (scope.outputs.has(name)) return [name];
    const { problems: trouble } = resolve(`\${${name}.url${need.endsWith("?") ? "?" : ""}}`, scope);
    for (const problem of trouble) {
      problems.push({
        ...problem,
        where: `services.${draft.name}.needs.${index}`,
        fix: problem.code === "REFERENCE_DISABLED" ? `enable it, or write \`${name}?\`` : "correct the name",
      });
    }
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
  const listens = kind.defaultPort !== undefined || draft.settings["port"] !== undefined;
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
    ports: listens ? [{ host: address, port: context.port }] : [],
    gates: context.uses.flatMap((service) => gatesOf(service, places)),
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

function portClashes(services: readonly ServicePlan[]): readonly Problem[] {
  const owners = new Map<number, string>();
  return services.flatMap(({ name, ports }) =>
    ports.flatMap(({ port }) => {
      const owner = owners.get(port);
      owners.set(port, owner ?? name);
      if (owner === undefined) return [];
      return {
        code: "PORT_CLASH",
        where: `services.${name}.port`,
        expected: "a port of its own",
        got: `${port}, which \`${owner}\` has too`,
        fix: `set services.${name}.port to another number`,
      };
    }),
  );
}

function secretProblems(service: ServicePlan, secrets: ReadonlyMap<string, UserSecret>): readonly Problem[] {
  const used = [...Object.values(service.env), ...service.files.map((file) => file.content)].flatMap(secretsIn);
  const unknown = new Set(used.filter((name) => name.startsWith("secret.") && !secrets.has(name.slice(7))));
  return [...unknown].map((name) => ({
    code: "SECRET_UNKNOWN",
    where: `services.${service.name}`,
    expected: `a secret of engineroom:secrets (${[...secrets.keys()].join(", ") || "none is declared"})`,
    got: `\`${name.slice(7)}\``,
    fix: `pulumi config set --secret --path engineroom:secrets.${name.slice(7)}`,
  }));
}

const distinct = (builds: readonly BuildPlan[]): readonly BuildPlan[] => [
  ...new Map(builds.map((build) => [build.key, build])).values(),
];
