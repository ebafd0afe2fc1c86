import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic } from "#setup/atomic.ts";
import { type Source, sources as allSources } from "#setup/context.ts";
import { withLock } from "#setup/lock.ts";
import { buildDockerPlugin, buildOllama, buildPrograms, buildObjectStore } from "#setup/toolchain/build.ts";
import { hostToolchain } from "#setup/toolchain/host.ts";
import { isExecutable } from "#setup/path.ts";
import { dockerProgram, isComplete } from "#setup/toolchain/layout.ts";
import {
  downloadDockerPlugin,
  downloadOllama,
  downloadPrograms,
  type Release,
  releases,
  downloadProgram,
} from "#setup/toolchain/release.ts";
import { dockerKey, ollamaKey, sourcesKey, objectStoreKey } from "#setup/toolchain/sources.ts";
import {
  checkPackages,
  commandVersion,
  dockerFix,
  dockerVersion,
  ollamaVersion,
  pulumiVersion,
  objectStoreVersion,
  prometheusVersion,
} from "#setup/toolchain/versions.ts";

/** What runs Pulumi programs. */
export interface Toolchain {
  /** Absolute path of the CLI. */
  readonly pulumi: string;
  /** PULUMI_HOME: its `plugins/` hold the providers. */
  readonly home: string;
  /** Another key means: another toolchain. */
  readonly key: string;
}

interface Common {
  readonly cacheDir: string;
  readonly report: (line: string) => void;
}

/**
 * Builds the toolchain from Go modules, unless it was built from the same sources before. Safe to run at the same time
 * as itself: the second waits for the first.
 *
 * @throws UserError with the end of go's output.
 */
export async function buildToolchain(
  options: Common & {
    readonly nodeModules: string;
    /** Absolute path of the go command. */
    readonly go: string;
  },
): Promise<Toolchain> {
  checkPackages(options.nodeModules);
  return makeToolchain(options, "packages", sourcesKey(), (root) => buildPrograms(root, options));
}

/**
 * Downloads Pulumi's own release, unless that was done before.
 *
 * @throws when the host cannot be reached (within 5 s), or a file is not the one that was published.
 */
export async function downloadToolchain(options: Common & { readonly env: NodeJS.ProcessEnv }): Promise<Toolchain> {
  const key = officialKey([releases.pulumi, releases.command], options.env);
  return makeToolchain(options, "official", key, (root) => downloadPrograms(root, options));
}

function officialKey(wanted: readonly Release[], env: NodeJS.ProcessEnv): string {
  const where = wanted.map((release) => [release.archive, env[release.variable] ?? ""]);
  return createHash("sha256").update(JSON.stringify(where)).digest("hex").slice(0, 12);
}

/**
 * The toolchain of the first source that has it: on the host, Pulumi's download, Go modules.
 *
 * @param options.go gives the go command; called only when something is to be built.
 */
export function findToolchain(options: FindOptions): Promise<Toolchain & { readonly source: Source }> {
  const fix = `install Pulumi ${pulumiVersion} and its command plugin ${commandVersion} (docs/toolchain.md)`;
  return firstOf(options, `pulumi ${pulumiVersion}`, fix, {
    host: async () => {
      const found = await hostToolchain(options.env);
      return found === undefined ? undefined : { ...found, key: pulumiVersion };
    },
    official: () => downloadToolchain(options),
    packages: async () => buildToolchain({ ...options, go: await options.go() }),
  });
}

/** Like {@link findToolchain} for the docker plugin, which only stacks with containers need. */
export function findDockerPlugin(options: FindOptions): Promise<{ readonly path: string; readonly source: Source }> {
  const make = program(options, { docker: dockerVersion }, dockerProgram);
  return firstOf(options, `docker plugin ${dockerVersion}`, dockerFix, {
    official: make("official", officialKey([releases.docker], options.env), (root) =>
      downloadDockerPlugin(root, options),
    ),
    packages: make("packages", dockerKey(), async (root) =>
      buildDockerPlugin(root, { ...options, go: await options.go() }),
    ),
  });
}

/** Like {@link findDockerPlugin} for Ollama, which runs as a service. */
export function findOllama(options: FindOptions): Promise<{ readonly path: string; readonly source: Source }> {
  const make = program(options, { ollama: ollamaVersion }, "bin/ollama");
  const fix = `install Ollama ${ollamaVersion} or newer yourself: https://ollama.com/download`;
  return firstOf(options, `ollama ${ollamaVersion}`, fix, {
    official: make("official", officialKey([releases.ollama], options.env), (root) => downloadOllama(root, options)),
    packages: make("packages", ollamaKey(), async (root) => buildOllama(root, { ...options, go: await options.go() })),
  });
}

/** The same for versitygw, an S3 server. */
export function findObjectStore(options: FindOptions): Promise<{ readonly path: string; readonly source: Source }> {
  const make = program(options, { "object-store": objectStoreVersion }, "versitygw");
  const fix = `install versitygw ${objectStoreVersion} or newer yourself: https://github.com/versity/versitygw/releases`;
  return firstOf(options, `versitygw ${objectStoreVersion}`, fix, {
    official: make("official", officialKey([releases.objectStore], options.env), (root) =>
      downloadProgram(root, releases.objectStore, "versitygw", options),
    ),
    packages: make("packages", objectStoreKey(), async (root) =>
      buildObjectStore(root, { ...options, go: await options.go() }),
    ),
  });
}

/** The same for Prometheus; `unpack` gives that of a distribution's packages, an older one. */
export function findPrometheus(
  options: Omit<FindOptions, "go"> & { readonly unpack: () => Promise<string> },
): Promise<{ readonly path: string; readonly source: Source }> {
  const make = program(options, { prometheus: prometheusVersion }, "prometheus");
  const fix = "install prometheus yourself: https://prometheus.io/download";
  return firstOf(options, `prometheus ${prometheusVersion}`, fix, {
    official: make("official", officialKey([releases.prometheus], options.env), (root) =>
      downloadProgram(root, releases.prometheus, "prometheus", options),
    ),
    packages: async () => ({ path: await options.unpack() }),
  });
}

/** Makes one program, in a directory of its own that its name and a key give. */
function program(options: Common, about: Readonly<Record<string, string>>, file: string) {
  const name = Object.keys(about).join("-");
  const isThere = (root: string) => isExecutable(join(root, file));
  return (source: Source, key: string, work: (root: string) => Promise<void>) => async () => ({
    path: join(await makeOnce(options, `${name}-${key}`, { source, ...about }, isThere, work), file),
  });
}

type FindOptions = Common & {
  readonly nodeModules: string;
  readonly env: NodeJS.ProcessEnv;
  readonly sources?: readonly Source[];
  readonly go: () => Promise<string>;
};

async function firstOf<T extends object>(
  options: Omit<FindOptions, "go">,
  what: string,
  fix: string,
  from: Readonly<Partial<Record<Source, () => Promise<T | undefined>>>>,
): Promise<T & { readonly source: Source }> {
  checkPackages(options.nodeModules);
  const reasons: string[] = [];
  for (const source of options.sources ?? allSources) {
    try {
      const found = await from[source]?.();
      if (found !== undefined) return { ...found, source };
      reasons.push(`${source}: none`);
    } catch (error) {
      // The last source's own words are the ones that help.
      if (error instanceof UserError) throw error;
      reasons.push(`${source}: ${error instanceof Error ? error.message : String(error)}`);
    }
    options.report(`toolchain: not from ${reasons.at(-1) ?? source}`);
  }
  throw new UserError("SETUP_FAILED", `${what}: expected one source to have it, got ${reasons.join("; ")}.`, { fix });
}

async function makeToolchain(
  options: Common,
  source: Source,
  key: string,
  work: (root: string) => Promise<void>,
): Promise<Toolchain> {
  const about = { source, pulumi: pulumiVersion, command: commandVersion };
  const isThere = (root: string) => isComplete(join(root, "bin"), join(root, "home"));
  const root = await makeOnce(options, key, about, isThere, work);
  return { pulumi: join(root, "bin", "pulumi"), home: join(root, "home"), key };
}

/** Has `work` fill a temporary directory, which gets its real name once it is complete. @returns the directory. */
async function makeOnce(
  options: Common,
  name: string,
  about: Readonly<Record<string, string>>,
  isThere: (root: string) => boolean,
  work: (root: string) => Promise<void>,
): Promise<string> {
  const dir = join(options.cacheDir, "toolchain");
  const root = join(dir, name);
  if (isThere(root)) return root;
  const waiting = (holder: string) => {
    options.report(`toolchain: waiting for process ${holder}, which makes it`);
  };
  return withLock(join(dir, `${name}.lock`), waiting, async () => {
    if (isThere(root)) return root;
    await makeAtomic(root, async (temporary) => {
      await work(temporary);
      writeFileSync(join(temporary, "toolchain.json"), `${JSON.stringify(about)}\n`);
    });
    return root;
  });
}
