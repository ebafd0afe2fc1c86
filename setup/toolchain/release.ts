import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { createReadStream, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { execa } from "execa";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";
import { UserError } from "#cli/errors.ts";
import { commandPlugin } from "#setup/toolchain/layout.ts";
import {
  commandVersion,
  dockerVersion,
  objectStoreVersion,
  ollamaVersion,
  prometheusVersion,
  pulumiVersion,
} from "#setup/toolchain/versions.ts";

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
  docker: {
    archive: `pulumi-resource-docker-v${dockerVersion}-linux-amd64.tar.gz`,
    sums: `pulumi-docker_${dockerVersion}_checksums.txt`,
    variable: "ENGINEROOM_PULUMI_DOCKER_URL",
    base: `https://github.com/pulumi/pulumi-docker/releases/download/v${dockerVersion}`,
  },
  ollama: {
    archive: "ollama-linux-amd64.tar.zst",
    sums: "sha256sum.txt",
    variable: "ENGINEROOM_OLLAMA_URL",
    base: `https://github.com/ollama/ollama/releases/download/v${ollamaVersion}`,
  },
  objectStore: {
    archive: `versitygw_v${objectStoreVersion}_Linux_x86_64.tar.gz`,
    sums: "checksums.txt",
    variable: "ENGINEROOM_OBJECT_STORE_URL",
    base: `https://github.com/versity/versitygw/releases/download/v${objectStoreVersion}`,
  },
  prometheus: {
    archive: `prometheus-${prometheusVersion}.linux-amd64.tar.gz`,
    sums: "sha256sums.txt",
    variable: "ENGINEROOM_PROMETHEUS_URL",
    base: `https://github.com/prometheus/prometheus/releases/download/v${prometheusVersion}`,
  },
} as const satisfies Readonly<Record<string, Release>>;

/** What an unreachable host may cost, all its answers together. */
const reachMs = 4_000;
const silentMs = 60_000;

export interface DownloadOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

/** Downloads, checks and unpacks Pulumi and its command plugin below `root`: `bin/` and `home/`. */
export function downloadPrograms(root: string, options: DownloadOptions): Promise<void> {
  const plugin = dirname(commandPlugin(join(root, "home")));
  return downloadReleases(options, [
    { release: releases.pulumi, dir: join(root, "bin"), tarOptions: ["--strip-components=1"] },
    { release: releases.command, dir: plugin, tarOptions: [] },
  ]);
}

/** Downloads, checks and unpacks the docker plugin in `root`. */
export function downloadDockerPlugin(root: string, options: DownloadOptions): Promise<void> {
  return downloadReleases(options, [{ release: releases.docker, dir: root, tarOptions: [] }]);
}

/** Downloads, checks and unpacks Ollama below `root`: `bin/` and `lib/`. */
export function downloadOllama(root: string, options: DownloadOptions): Promise<void> {
  return downloadReleases(options, [{ release: releases.ollama, dir: root, tarOptions: [] }]);
}

/** Downloads and checks an archive with one directory in it, and unpacks a program of that directory in `root`. */
export function downloadProgram(
  root: string,
  release: Release,
  program: string,
  options: DownloadOptions,
): Promise<void> {
  const tarOptions = ["--strip-components=1", "--wildcards", `*/${program}`];
  return downloadReleases(options, [{ release, dir: root, tarOptions }]);
}

interface Download {
  readonly release: Release;
  readonly dir: string;
  readonly tarOptions: readonly string[];
}

async function downloadReleases(options: DownloadOptions, downloads: readonly Download[]): Promise<void> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: reachMs }, bodyTimeout: silentMs });
  try {
    // The sums first: they tell in seconds whether there is a download at all.
    const expected = await Promise.all(
      downloads.map(async (one) => ({ ...one, sum: await expectedSum(one.release, options.env, dispatcher) })),
    );
    await Promise.all(expected.map((one) => obtain(one, options, dispatcher)));
  } finally {
    await dispatcher.destroy();
  }
}

function baseOf(release: Release, env: NodeJS.ProcessEnv): string {
  return (env[release.variable] ?? release.base).replace(/\/$/, "");
}

async function expectedSum(release: Release, env: NodeJS.ProcessEnv, dispatcher: EnvHttpProxyAgent): Promise<string> {
  if (release.sha256 !== undefined) return release.sha256;
  const url = `${baseOf(release, env)}/${release.sums}`;
  const response = await answer(url, dispatcher, AbortSignal.timeout(reachMs));
  return parseSum(url, await response.text(), release.archive);
}

/** By the sum's hexadecimal digits. Some projects publish SHA-1, which nobody but they could work around. */
const algorithms: Readonly<Record<number, string>> = { 40: "sha1", 64: "sha256" };

/** @param text lines of a hexadecimal sum and a file name, as sha256sum(1) and shasum(1) write them. */
export function parseSum(url: string, text: string, archive: string): string {
  for (const line of text.split("\n")) {
    const [, sum, name] = /^([0-9a-f]+) [ *](?:\.\/)?(\S+)$/i.exec(line.trim()) ?? [];
    if (name !== archive || sum === undefined) continue;
    if (sum.length in algorithms) return sum.toLowerCase();
    throw new Error(`${url}: expected a sha256 or sha1 for ${archive}, got a sum of ${sum.length * 4} bits`);
  }
  throw new Error(`${url}: expected a line for ${archive}, got none`);
}

async function obtain(
  { release, dir, tarOptions, sum }: Download & { readonly sum: string },
  options: DownloadOptions,
  dispatcher: EnvHttpProxyAgent,
): Promise<void> {
  const started = performance.now();
  const url = `${baseOf(release, options.env)}/${release.archive}`;
  options.report(`toolchain: downloading ${url}`);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, release.archive);
  await save(url, file, sum, dispatcher);
  await unpack(file, dir, tarOptions);
  rmSync(file);
  options.report(`toolchain: ${release.archive} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function unpack(archive: string, dir: string, tarOptions: readonly string[]): Promise<void> {
  const extract = ["--extract", "--no-same-owner", "--directory", dir, ...tarOptions];
  if (!archive.endsWith(".zst")) {
    await execa("tar", [...extract, "--gzip", "--file", archive]);
    return;
  }
  // Hardly any host has zstd, whose program tar would call.
  const tar = execa("tar", [...extract, "--file", "-"]);
  await Promise.all([pipeline(createReadStream(archive), createZstdDecompress(), tar.stdin), tar]);
}

async function save(url: string, file: string, sum: string, dispatcher: EnvHttpProxyAgent): Promise<void> {
  const response = await answer(url, dispatcher, null);
  const algorithm = algorithms[sum.length] ?? "sha256";
  const hash = createHash(algorithm);
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
  if (got === sum) return;
  throw new UserError("CHECKSUM_MISMATCH", `${url}: expected ${algorithm} ${sum}, got ${got}.`, {
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
