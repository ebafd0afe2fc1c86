import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { addressOf, askEngine, followEngine } from "#setup/docker-api.ts";
import { isDebianLike } from "#setup/apt.ts";
import { executables } from "#setup/path.ts";
import { hostPlaces } from "#stack/places.ts";
import { host } from "./containers.ts";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

/** The registry's program: on PATH, else out of Debian's package, which is not installed. */
export function registryProgram(): string | undefined {
  const [found] = executables(process.env, ["docker-registry"]);
  if (found !== undefined || !isDebianLike()) return found;
  const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
  const home = join(cacheDir, "test", "docker-registry");
  if (!existsSync(home)) {
    const making = `${home}.${process.pid}.tmp`;
    mkdirSync(making, { recursive: true });
    try {
      // The lists may be missing: only root can get them, and knows by this that it must.
      if (process.getuid?.() === 0 && !isListed()) execFileSync("apt-get", ["update"], { stdio: "ignore" });
      execFileSync("apt-get", ["download", "docker-registry"], { cwd: making, stdio: "ignore" });
      const [archive = ""] = readdirSync(making);
      execFileSync("dpkg-deb", ["--extract", archive, "."], { cwd: making });
      renameSync(making, home);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  return join(home, "usr", "bin", "docker-registry");
}

const isListed = (): boolean =>
  execFileSync("apt-cache", ["policy", "docker-registry"], { encoding: "utf8" }).includes("Candidate: ");

export interface TokenAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** Path of the certificates that tokens are signed by. */
  readonly rootcertbundle: string;
}

/** A registry on a port of its own, which keeps everything in a directory that goes with it. */
export class Registry implements AsyncDisposable {
  /** `127.0.0.1:5000` */
  readonly address: string;
  readonly #child: ReturnType<typeof spawn>;
  readonly #dir: string;

  private constructor(address: string, child: ReturnType<typeof spawn>, dir: string) {
    this.address = address;
    this.#child = child;
    this.#dir = dir;
  }

  static async start(program: string, token?: TokenAuth): Promise<Registry> {
    const dir = mkdtempSync(join(tmpdir(), "engineroom-registry-"));
    const address = `127.0.0.1:${await freePort()}`;
    const config = {
      version: "0.1",
      storage: { filesystem: { rootdirectory: dir } },
      http: { addr: address, secret: "of no importance" },
      log: { level: "error" },
      ...(token && { auth: { token } }),
    };
    writeFileSync(join(dir, "config.yml"), JSON.stringify(config));
    const child = spawn(program, ["serve", join(dir, "config.yml")], { stdio: "ignore" });
    const registry = new Registry(address, child, dir);
    const answers = () =>
      fetch(`http://${address}/v2/`).then(
        ({ status }) => status === 200 || status === 401,
        () => false,
      );
    try {
      await until("the registry's answer", answers);
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Has the engine push an image with one small file. */
  async push(name: string, tag: string, content: string): Promise<void> {
    const repo = `${this.address}/${name}`;
    const file = join(this.#dir, "content");
    writeFileSync(file, content);
    const tar = execFileSync("tar", ["-cf", "-", "-C", this.#dir, "content"]);
    const query = { fromSrc: "-", repo, tag };
    const body = Readable.from([tar]);
    await followEngine(host, { method: "POST", path: "/images/create", query, body }, () => undefined);
    await pushByEngine(repo, tag);
    await askEngine(host, { method: "DELETE", path: `/images/${repo}:${tag}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    rmSync(this.#dir, { recursive: true });
  }
}

/** A push needs a header that pulls do not. */
async function pushByEngine(repo: string, tag: string): Promise<void> {
  const sent = request({
    ...addressOf(host),
    agent: false,
    method: "POST",
    path: `/images/${repo}/push?tag=${tag}`,
    headers: { "x-registry-auth": Buffer.from("{}").toString("base64") },
  });
  sent.end();
  const [response] = (await once(sent, "response")) as [AsyncIterable<Buffer>];
  let text = "";
  for await (const chunk of response) text += chunk.toString();
  if (text.includes('"error"')) throw new Error(text);
}
