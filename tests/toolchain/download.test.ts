import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SetupContext, Source } from "#setup/context.ts";
import { dockerPlugin } from "#setup/docker-plugin.ts";
import { downloadToolchain, findObjectStore, findOllama, findPrometheus, findToolchain } from "#setup/toolchain.ts";
import { commandPlugin, dockerPlugin as dockerPluginBelow } from "#setup/toolchain/layout.ts";
import { parseSum, type Release, releases } from "#setup/toolchain/release.ts";

const projectDir = join(import.meta.dirname, "..", "..");
const nodeModules = join(projectDir, "node_modules");
const silent = () => undefined;

let root: string;
let server: Server;
let base: string;
let requests: string[];

// Does not prove: that the official hosts still name their files this way.
describe("the official download", () => {
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "engineroom-download-"));
    requests = [];
    await publish();
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  });

  it("is checked, unpacked and there as a whole", async () => {
    await serve(published);
    const toolchain = await downloadToolchain(options());
    expect((await execa(toolchain.pulumi)).stdout).toBe("program pulumi");
    expect((await execa(commandPlugin(toolchain.home))).stdout).toBe("program pulumi-resource-command");
    expect(readdirSync(join(root, "cache", "toolchain")).sort()).toEqual([toolchain.key, `${toolchain.key}.lock`]);
    expect(readdirSync(join(toolchain.home, "plugins", "resource-command-v1.2.1"))).toEqual([
      "pulumi-resource-command",
    ]);
  });

  it("happens once, whoever asks at the same time or later", async () => {
    await serve(published);
    const [one, other] = await Promise.all([downloadToolchain(options()), downloadToolchain(options())]);
    expect(other).toEqual(one);
    await downloadToolchain(options());
    expect(requests.sort()).toEqual(
      [releases.pulumi, releases.command].flatMap(({ archive, sums }) => [`/${archive}`, `/${sums}`]).sort(),
    );
  });

  it("brings the docker plugin only where it is asked for, once for every Pulumi home", async () => {
    await serve(published);
    for (const name of ["one", "other"]) {
      const home = join(root, name);
      const found = await dockerPlugin.install?.(dockerContext(home, "official"));
      expect(found).toEqual({ path: dockerPluginBelow(home), version: "5.2.0", source: "official" });
      expect((await execa(dockerPluginBelow(home))).stdout).toBe("program pulumi-resource-docker");
    }
    expect(requests.sort()).toEqual([`/${releases.docker.archive}`, `/${releases.docker.sums}`].sort());
  });

  it("brings Ollama, whose archive is packed otherwise, with its libraries, once", async () => {
    await serve(published);
    const [one, other] = [await findOllama(ollamaOptions()), await findOllama(ollamaOptions())];
    expect(other).toEqual(one);
    expect((await execa(one.path)).stdout).toBe("program ollama");
    expect(one.source).toBe("official");
    expect(readdirSync(join(dirname(one.path), "..")).sort()).toEqual(["bin", "lib", "toolchain.json"]);
    expect(requests.sort()).toEqual([`/${releases.ollama.archive}`, `/${releases.ollama.sums}`].sort());
  });

  it("brings one program out of the archives of versitygw and Prometheus, once", async () => {
    await serve(published);
    const unpack = () => Promise.reject(new Error("packages are what comes next"));
    const sources = ["official"] as const;
    const finders = {
      versitygw: () => findObjectStore({ ...ollamaOptions(), sources }),
      prometheus: () => findPrometheus({ ...options(), nodeModules, sources, unpack }),
    };
    for (const [program, find] of Object.entries(finders)) {
      const [one, other] = [await find(), await find()];
      expect(other).toEqual(one);
      expect(one.source).toBe("official");
      expect((await execa(one.path)).stdout).toBe(`program ${program}`);
      expect(readdirSync(dirname(one.path)).sort()).toEqual([program, "toolchain.json"].sort());
    }
    const asked = [releases.objectStore, releases.prometheus].flatMap(({ archive, sums }) => [archive, sums]);
    expect(requests.sort()).toEqual(asked.map((name) => `/${name}`).sort());
  });

  it("refuses an Ollama that is not the published one, and one that is packed badly", async () => {
    const archive = join(root, "www", releases.ollama.archive);
    writeFileSync(archive, "something else");
    await serve(published);
    await expect(findOllama(ollamaOptions())).rejects.toThrow(
      new RegExp(`${releases.ollama.archive}: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}`),
    );
    writeSum(releases.ollama);
    await expect(findOllama(ollamaOptions())).rejects.toThrow("go is what comes next");
    expect(readdirSync(join(root, "cache", "toolchain")).filter((name) => !name.endsWith(".lock"))).toEqual([]);
  });

  it("refuses a docker plugin that is not the published one", async () => {
    writeFileSync(join(root, "www", releases.docker.archive), "something else");
    await serve(published);
    const home = join(root, "home");
    await expect(dockerPlugin.install?.(dockerContext(home, "official"))).rejects.toThrow(
      new RegExp(`${releases.docker.archive}: expected sha1 [0-9a-f]{40}, got [0-9a-f]{40}`),
    );
    expect(existsSync(home)).toBe(false);
  });

  it("finds a docker plugin that people installed, and not what set-up linked there", async () => {
    await serve(published);
    const home = join(root, "home");
    const context = dockerContext(home, "official");
    expect(await dockerPlugin.find(context)).toBeUndefined();
    await dockerPlugin.install?.(context);
    expect(await dockerPlugin.find(context)).toBeUndefined();
    rmSync(dockerPluginBelow(home));
    writeFileSync(dockerPluginBelow(home), "", { mode: 0o755 });
    expect(await dockerPlugin.find(context)).toEqual({
      path: dockerPluginBelow(home),
      version: "5.2.0",
      source: "host",
    });
  });

  it("puts nothing into the home of people's own Pulumi", async () => {
    await serve(published);
    const home = join(root, "home");
    await expect(dockerPlugin.install?.(dockerContext(home, "host"))).rejects.toMatchObject({
      message: `docker-plugin: expected your own Pulumi to have it in ${home}, got none.`,
      fix: "pulumi plugin install resource docker v5.2.0",
    });
    expect(requests).toEqual([]);
  });

  it("refuses an archive that is not the published one, and leaves nothing", async () => {
    writeFileSync(join(root, "www", releases.command.archive), "something else");
    await serve(published);
    await expect(downloadToolchain(options())).rejects.toThrow(
      new RegExp(`${releases.command.archive}: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}`),
    );
    expect(readdirSync(join(root, "cache", "toolchain")).filter((name) => !name.endsWith(".lock"))).toEqual([]);
  });

  it("does not give way to another source when an archive was changed", async () => {
    writeFileSync(join(root, "www", releases.pulumi.archive), "something else");
    await serve(published);
    await expect(find()).rejects.toThrow("expected sha256");
  });

  it.each<[string, RequestListener]>([
    ["answers 404", (_, response) => void response.writeHead(404).end()],
    ["accepts and never answers", () => undefined],
    ["lists no sums", (_, response) => void response.end("<html>")],
  ])("gives way within 5 s to the next source where the host %s", async (_, listener) => {
    await serve(listener);
    const started = performance.now();
    await expect(find()).rejects.toThrow("go is what comes next");
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("gives way where nothing listens", async () => {
    await serve(published);
    server.close();
    await expect(find()).rejects.toThrow("go is what comes next");
  });
});

describe("parseSum", () => {
  const sum = "a".repeat(64);
  it.each([
    [`${sum}  one.tgz`, sum],
    [`${"c".repeat(40)}  ./one.tgz\n`, "c".repeat(40)],
    [`${"b".repeat(64)}  other.tgz\r\n${sum.toUpperCase()} *./one.tgz\r\n`, sum],
  ])("reads %j", (text, expected) => {
    expect(parseSum("url", text, "one.tgz")).toBe(expected);
  });

  it.each([
    ["", "url: expected a line for one.tgz, got none"],
    [`${sum}  one.tgz.sig`, "url: expected a line for one.tgz, got none"],
    [`${"a".repeat(32)}  one.tgz`, "url: expected a sha256 or sha1 for one.tgz, got a sum of 128 bits"],
  ])("refuses %j", (text, message) => {
    expect(() => parseSum("url", text, "one.tgz")).toThrow(message);
  });
});

function options() {
  const env = {
    ...process.env,
    ENGINEROOM_PULUMI_URL: base,
    ENGINEROOM_PULUMI_COMMAND_URL: `${base}/`,
    ENGINEROOM_PULUMI_DOCKER_URL: base,
    ENGINEROOM_OLLAMA_URL: base,
    ENGINEROOM_OBJECT_STORE_URL: base,
    ENGINEROOM_PROMETHEUS_URL: base,
  };
  return { cacheDir: join(root, "cache"), report: silent, env };
}

/** @param source where the Pulumi with this home came from. */
function dockerContext(home: string, source: Source): SetupContext {
  const pulumi = { path: "/nowhere/pulumi", version: "3.259.0", source, env: { PULUMI_HOME: home } };
  mkdirSync(join(root, "cache"), { recursive: true });
  return { ...options(), projectDir, sources: ["host", "official"], runAs: undefined, tools: { pulumi } };
}

const go = () => Promise.reject(new Error("go is what comes next"));
const ollamaOptions = () => ({ ...options(), nodeModules, sources: ["official", "packages"] as const, go });

function find() {
  return findToolchain({ ...options(), nodeModules, sources: ["official", "packages"], go });
}

/** Archives as the real ones are laid out, with small programs in them. */
async function publish(): Promise<void> {
  const www = join(root, "www");
  mkdirSync(www);
  // The last two with something beside the program, which set-up leaves in the archive.
  const dirs = {
    pulumi: ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"],
    versitygw: ["versitygw", "LICENSE"],
    prometheus: ["prometheus", "promtool"],
  };
  const programs = Object.entries(dirs).flatMap(([dir, names]) => {
    mkdirSync(join(root, dir));
    return names.map((name) => join(dir, name));
  });
  for (const path of [...programs, "pulumi-resource-command", "pulumi-resource-docker"]) {
    writeFileSync(join(root, path), `#!/bin/sh\necho "program \${0##*/}"\n`, { mode: 0o755 });
  }
  const pack = (release: { archive: string }, path: string) =>
    execa("tar", ["-czf", join(www, release.archive), "-C", root, path]);
  await Promise.all([
    pack(releases.pulumi, "pulumi"),
    pack(releases.command, "pulumi-resource-command"),
    pack(releases.docker, "pulumi-resource-docker"),
    pack(releases.objectStore, "versitygw"),
    pack(releases.prometheus, "prometheus"),
  ]);
  for (const name of ["bin", "lib"]) mkdirSync(join(root, "ollama", name), { recursive: true });
  writeFileSync(join(root, "ollama", "bin", "ollama"), '#!/bin/sh\necho "program ollama"\n', { mode: 0o755 });
  const { stdout } = await execa("tar", ["-c", "-C", join(root, "ollama"), "."], { encoding: "buffer" });
  writeFileSync(join(www, releases.ollama.archive), zstdCompressSync(stdout));
  for (const release of Object.values(releases)) writeSum(release);
}

/** As their projects do. */
function writeSum({ archive, sums }: Release): void {
  const www = join(root, "www");
  const sum = createHash(archive === releases.docker.archive ? "sha1" : "sha256")
    .update(readFileSync(join(www, archive)))
    .digest("hex");
  writeFileSync(join(www, sums), `${sum}  ./${archive}\n`);
}

const published: RequestListener = (request, response) => {
  const file = join(root, "www", request.url ?? "");
  if (existsSync(file)) response.end(readFileSync(file));
  else response.writeHead(404).end();
};

async function serve(listener: RequestListener): Promise<void> {
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    listener(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
