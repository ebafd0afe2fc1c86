import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";
import { UserError } from "#cli/errors.ts";
import { commandPlugin } from "#setup/toolchain/layout.ts";
import { commandVersion, pulumiVersion } from "#setup/toolchain/versions.ts";

/** One archive that a project publishes, and the file beside it that lists the sums of a release's archives. */
export interface Release {
  readonly archive: string;
  readonly sums: string;
  /** Overrides where both lie. */
  readonly variable: string;
  readonly base: string;
  /** Wins over the published sum: set it once the archive was downloaded and looked at. */
  readonly sha256?: string;
}

export const releases = {
  pulumi: {
    archive: `pulumi-v${pulumiVersion}-linux-x64.tar.gz`,
    sums: `pulumi-${pulumiVersion}-checksums.txt`,
    variable: "ENGINEROOM_PULUMI_URL",
    base: `https://github.com/pulumi/pulumi/releases/download/v${pulumiVersion}`,
  },
  command: {
    archive: `pulumi-resource-command-v${commandVersion}-linux-amd64.tar.gz`,
    sums: `pulumi-command_${commandVersion}_checksums.txt`,
    variable: "ENGINEROOM_PULUMI_COMMAND_URL",
    base: `https://github.com/pulumi/pulumi-command/releases/download/v${commandVersion}`,
  },
} as const satisfies Readonly<Record<string, Release>>;

/** What an unreachable host may cost, all its answers together. */
const reachMs = 4_000;
const silentMs = 60_000;

export interface DownloadOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

/** Downloads, checks and unpacks both archives below `root`: `bin/` and `home/`. */
export async function downloadPrograms(root: string, options: DownloadOptions): Promise<void> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: reachMs }, bodyTimeout: silentMs });
  try {
    const get = (release: Release) => baseOf(release, options.env);
    // The sums first: they tell in seconds whether there is a download at all.
    const [pulumiSum, commandSum] = await Promise.all([
      expectedSum(releases.pulumi, get(releases.pulumi), dispatcher),
      expectedSum(releases.command, get(releases.command), dispatcher),
    ]);
    const home = dirname(commandPlugin(join(root, "home")));
    await Promise.all([
      obtain(releases.pulumi, pulumiSum, join(root, "bin"), ["--strip-components=1"], options, dispatcher),
      obtain(releases.command, commandSum, home, [], options, dispatcher),
    ]);
  } finally {
    await dispatcher.destroy();
  }
}

function baseOf(release: Release, env: NodeJS.ProcessEnv): string {
  return (env[release.variable] ?? release.base).replace(/\/$/, "");
}

async function expectedSum(release: Release, base: string, dispatcher: EnvHttpProxyAgent): Promise<string> {
  if (release.sha256 !== undefined) return release.sha256;
  const url = `${base}/${release.sums}`;
  const response = await answer(url, dispatcher, AbortSignal.timeout(reachMs));
  return parseSum(url, await response.text(), release.archive);
}

/** @param text lines of a hexadecimal sum and a file name, as sha256sum(1) writes them. */
export function parseSum(url: string, text: string, archive: string): string {
  for (const line of text.split("\n")) {
    const [, sum, name] = /^([0-9a-f]+) [ *](?:\.\/)?(\S+)$/i.exec(line.trim()) ?? [];
    if (name !== archive || sum === undefined) continue;
    if (sum.length === 64) return sum.toLowerCase();
    throw new Error(`${url}: expected a sha256 for ${archive}, got a sum of ${sum.length * 4} bits`);
  }
  throw new Error(`${url}: expected a line for ${archive}, got none`);
}

async function obtain(
  release: Release,
  sha256: string,
  dir: string,
  tarOptions: readonly string[],
  options: DownloadOptions,
  dispatcher: EnvHttpProxyAgent,
): Promise<void> {
  const started = performance.now();
  const url = `${baseOf(release, options.env)}/${release.archive}`;
  options.report(`toolchain: downloading ${url}`);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, release.archive);
  await save(url, file, sha256, dispatcher);
  await execa("tar", ["--extract", "--gzip", "--no-same-owner", "--file", file, "--directory", dir, ...tarOptions]);
  rmSync(file);
  options.report(`toolchain: ${release.archive} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function save(url: string, file: string, sha256: string, dispatcher: EnvHttpProxyAgent): Promise<void> {
  const response = await answer(url, dispatcher, null);
  const hash = createHash("sha256");
  const target = await open(file, "wx", 0o600);
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      await target.write(chunk);
    }
  } finally {
    await target.close();
  }
  const got = hash.digest("hex");
  if (got === sha256) return;
  throw new UserError("CHECKSUM_MISMATCH", `${url}: expected sha256 ${sha256}, got ${got}.`, {
    fix: "run ./engineroom setup again; if it stays, something between here and there changes the file",
  });
}

async function answer(url: string, dispatcher: EnvHttpProxyAgent, signal: AbortSignal | null): Promise<Response> {
  const response = await fetch(url, { dispatcher, signal }).catch((error: unknown) => {
    throw new Error(`${url}: ${reason(error)}`, { cause: error });
  });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  return response;
}

/** fetch says only "fetch failed"; its cause has the reason. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
