import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic } from "#setup/atomic.ts";
import { type Source, sources as allSources } from "#setup/context.ts";
import { withLock } from "#setup/lock.ts";
import { buildPrograms } from "#setup/toolchain/build.ts";
import { hostToolchain } from "#setup/toolchain/host.ts";
import { isComplete } from "#setup/toolchain/layout.ts";
import { downloadPrograms, releases } from "#setup/toolchain/release.ts";
import { sourcesKey } from "#setup/toolchain/sources.ts";
import { checkPackages, commandVersion, pulumiVersion } from "#setup/toolchain/versions.ts";

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
  return make(options, "packages", sourcesKey(), (root) => buildPrograms(root, options));
}

/**
 * Downloads Pulumi's own release, unless that was done before.
 *
 * @throws when the host cannot be reached (within 5 s), or a file is not the one that was published.
 */
export async function downloadToolchain(options: Common & { readonly env: NodeJS.ProcessEnv }): Promise<Toolchain> {
  const where = Object.values(releases).map((release) => [release.archive, options.env[release.variable] ?? ""]);
  const key = createHash("sha256").update(JSON.stringify(where)).digest("hex").slice(0, 12);
  return make(options, "official", key, (root) => downloadPrograms(root, options));
}

/**
 * The toolchain of the first source that has it: on the host, Pulumi's download, Go modules.
 *
 * @param options.go gives the go command; called only when something is to be built.
 */
export async function findToolchain(
  options: Common & {
    readonly nodeModules: string;
    readonly env: NodeJS.ProcessEnv;
    readonly sources?: readonly Source[];
    readonly go: () => Promise<string>;
  },
): Promise<Toolchain & { readonly source: Source }> {
  checkPackages(options.nodeModules);
  const reasons: string[] = [];
  for (const source of options.sources ?? allSources) {
    try {
      const found = await from[source](options);
      if (found !== undefined) return { ...found, source };
      reasons.push(`${source}: none`);
    } catch (error) {
      // The last source's own words are the ones that help.
      if (error instanceof UserError) throw error;
      reasons.push(`${source}: ${error instanceof Error ? error.message : String(error)}`);
    }
    options.report(`toolchain: not from ${reasons.at(-1) ?? source}`);
  }
  throw new UserError(
    "SETUP_FAILED",
    `pulumi ${pulumiVersion}: expected one source to have it, got ${reasons.join("; ")}.`,
    {
      fix: `install Pulumi ${pulumiVersion} and its command plugin ${commandVersion} (docs/toolchain.md)`,
    },
  );
}

type FindOptions = Parameters<typeof findToolchain>[0];

const from: Readonly<Record<Source, (options: FindOptions) => Promise<Toolchain | undefined>>> = {
  host: async (options) => {
    const found = await hostToolchain(options.env);
    return found === undefined ? undefined : { ...found, key: pulumiVersion };
  },
  official: (options) => downloadToolchain(options),
  packages: async (options) => buildToolchain({ ...options, go: await options.go() }),
};

/** Has `work` fill a temporary directory, which gets its real name once it is complete. */
async function make(
  options: Common,
  source: Source,
  key: string,
  work: (root: string) => Promise<void>,
): Promise<Toolchain> {
  const dir = join(options.cacheDir, "toolchain");
  const root = join(dir, key);
  const toolchain = { pulumi: join(root, "bin", "pulumi"), home: join(root, "home"), key };
  const there = () => isComplete(join(root, "bin"), toolchain.home);
  if (there()) return toolchain;
  const waiting = (holder: string) => {
    options.report(`toolchain: waiting for process ${holder}, which makes it`);
  };
  return withLock(join(dir, `${key}.lock`), waiting, async () => {
    if (there()) return toolchain;
    await makeAtomic(root, async (temporary) => {
      await work(temporary);
      const about = { source, pulumi: pulumiVersion, command: commandVersion };
      writeFileSync(join(temporary, "toolchain.json"), `${JSON.stringify(about)}\n`);
    });
    return toolchain;
  });
}
