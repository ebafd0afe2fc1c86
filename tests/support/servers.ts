import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { RequestListener } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { explain } from "#checks/explain.ts";
import { processTree } from "#checks/process-tree.ts";
import { probeTcp } from "#checks/tcp.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { readTools } from "#setup/tools.ts";
import type { Tool, ToolName } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";
import { until } from "./until.ts";

/*
 * Real servers for tests: each on a free port of 127.0.0.1, in a directory of its own, in a process group of its own.
 * `await using` ends the group by its PID and removes the directory.
 */

export const host = "127.0.0.1";
/** Where set-up puts programs and models, for this user. */
const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
export const modelFile = join(cacheDir, "models", "gemma-3-270m-q4_k_m.gguf");

export interface TestServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Of the first process, which leads its own group. */
  readonly pid: number;
  /** Removed with the server. */
  readonly dir: string;
  /** All that it printed so far. */
  readonly log: () => string;
}

export interface Secured {
  readonly password: string;
  /** Holds `password` and a newline. */
  readonly passwordFile: string;
}

/** A canary: text that breaks whatever forgets to quote. */
export const canary = `p%s'"$ w ${randomBytes(6).toString("hex")}`;

/** A Postgres that takes logins over TCP by SCRAM only. */
export async function startPostgres(
  options: { readonly password?: string } = {},
): Promise<TestServer & Secured & { readonly user: string; readonly database: string }> {
  const { path } = tool("postgres");
  const dir = await serviceDir("postgres");
  const secret = writePassword(dir, options.password ?? canary);
  const data = join(dir, "data");
  const initdb = ["--pgdata", data, "--username", "app", "--auth", "scram-sha-256", "--no-sync", "--no-locale"];
  await run(join(dirname(path), "initdb"), [...initdb, "--encoding", "UTF8", "--pwfile", secret.passwordFile], dir);
  const port = await freePort();
  const settings = [`port=${port}`, `listen_addresses=${host}`, `unix_socket_directories=${dir}`, "fsync=off"];
  const argv = [path, "-D", data, ...settings.flatMap((setting) => ["-c", setting])];
  // SIGINT: fast shutdown. SIGTERM would wait for every client to leave.
  const server = await start({ name: "postgres", dir, port, argv, stopSignal: "SIGINT" });
  return { ...server, ...secret, user: "app", database: "postgres" };
}

/** A Valkey with nothing on disk. */
export async function startRedis(
  options: { readonly password?: string; readonly policy?: string } = {},
): Promise<TestServer & Secured> {
  const dir = await serviceDir("redis");
  const secret = writePassword(dir, options.password ?? canary);
  const port = await freePort();
  const quoted = secret.password.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  const lines = [`bind ${host}`, `port ${port}`, `dir ${dir}`, `save ""`, `requirepass "${quoted}"`];
  const config = writeFor(
    dir,
    "redis.conf",
    [...lines, `maxmemory-policy ${options.policy ?? "noeviction"}`].join("\n"),
  );
  return { ...(await start({ name: "redis", dir, port, argv: [tool("redis").path, config] })), ...secret };
}

/** An nginx with these lines in its one `server` block. */
export async function startNginx(serverLines: readonly string[]): Promise<TestServer> {
  const dir = await serviceDir("nginx");
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  const config = [
    `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log stderr;`,
    `events { worker_connections 64; }`,
    `http { access_log off; ${temporary.join(" ")}`,
    `server { listen ${host}:${port}; ${serverLines.join("\n")} } }`,
  ].join("\n");
  const argv = [tool("nginx").path, "-p", dir, "-e", "stderr", "-c", writeFor(dir, "nginx.conf", config)];
  return start({ name: "nginx", dir, port, argv });
}

export interface LlamaOptions {
  readonly alias: string;
  readonly contextSize: number;
  readonly apiKey?: string;
  readonly args?: readonly string[];
}

/** A llama-server with the real model on one thread; it listens before the model is loaded. */
export async function startLlamaServer({
  alias,
  contextSize,
  apiKey,
  args = [],
}: LlamaOptions): Promise<TestServer & { keyFile: string }> {
  const { path, env } = tool("llama-server");
  const dir = await serviceDir("llama");
  const port = await freePort();
  const keyFile = writeFor(dir, "keys", `# keys\n${apiKey ?? "unused"}\n`);
  const key = apiKey === undefined ? [] : ["--api-key-file", keyFile];
  const size = ["-c", String(contextSize), "-np", "1", "-t", "1", "--fit", "off"];
  const argv = [
    path,
    "-m",
    modelFile,
    "--host",
    host,
    "--port",
    String(port),
    "--alias",
    alias,
    ...size,
    ...key,
    ...args,
  ];
  return { ...(await start({ name: "llama-server", dir, port, argv, env: env ?? {} })), keyFile };
}

/** An Ollama without models; those that it gets lie in `models/` below its directory. */
export async function startOllama(): Promise<TestServer & { readonly url: string }> {
  const dir = await serviceDir("ollama");
  const port = await freePort();
  const env = { OLLAMA_HOST: `${host}:${port}`, OLLAMA_MODELS: join(dir, "models"), OLLAMA_CONTEXT_LENGTH: "256" };
  const server = await start({ name: "ollama", dir, port, argv: [tool("ollama").path, "serve"], env });
  return { ...server, url: `http://${host}:${port}` };
}

/** A Dramatiq worker with one actor, as a process tree of its own. Its `port` is the broker's. */
export async function startDramatiqWorker(
  broker: { readonly port: number } & Secured,
  options: { readonly processes?: number; readonly namespace?: string } = {},
): Promise<TestServer> {
  const { python, packages } = await dramatiq();
  const dir = await serviceDir("dramatiq");
  const { processes = 1, namespace = "dramatiq" } = options;
  const passwordFile = writeFor(dir, "password", broker.password);
  const module = [
    "import dramatiq",
    "from dramatiq.brokers.redis import RedisBroker",
    `password = open(${JSON.stringify(passwordFile)}).read()`,
    `dramatiq.set_broker(RedisBroker(host="${host}", port=${broker.port}, password=password, namespace="${namespace}"))`,
    "@dramatiq.actor",
    "def nothing(): pass",
  ];
  writeFor(dir, "tasks.py", `${module.join("\n")}\n`);
  const argv = [python, "-m", "dramatiq", "tasks", "-p", String(processes), "-t", "1"];
  return start({ name: "dramatiq", dir, port: broker.port, argv, env: { PYTHONPATH: packages } });
}

/** The sample application's programs, each on this broker. Its `port` is the broker's. */
export async function startJobs(
  broker: { readonly port: number; readonly password: string },
  argv: readonly string[],
  options: { readonly database?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<TestServer> {
  const { python, packages, app } = await jobs();
  const dir = await serviceDir("jobs");
  cpSync(app, dir, { recursive: true });
  const url = `redis://:${encodeURIComponent(broker.password)}@${host}:${broker.port}/${options.database ?? 0}`;
  const names = ["CELERY_BROKER_URL", "RQ_REDIS_URL", "REDIS_URL"];
  return start({
    name: argv.join(" "),
    dir,
    port: broker.port,
    argv: [python, "-m", ...argv],
    env: { PYTHONPATH: `${packages}:${dir}`, ...Object.fromEntries(names.map((name) => [name, url])), ...options.env },
  });
}

/** The same to its end. */
export async function runJobs(...args: Parameters<typeof startJobs>): Promise<void> {
  await using program = await startJobs(...args);
  await until(`the end of ${args[1].join(" ")}`, () => processTree(program.pid).length === 0);
}

export interface LocalServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** An HTTP server in this process. */
export async function serveHttp(listener: RequestListener): Promise<LocalServer> {
  return serve(createHttpServer({ keepAlive: false }, listener));
}

/** A TCP server in this process: `onSocket` decides what a connection gets. */
export async function serveTcp(onSocket: (socket: Socket) => void): Promise<LocalServer> {
  return serve(createServer(onSocket));
}

/** Accepts every connection and never says a word. */
export function serveSilence(): Promise<LocalServer> {
  return serveTcp((socket) => socket.on("data", () => undefined));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A directory that the servers' user can use, removed at the end of the block. */
export async function temporaryDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await serviceDir("dir");
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A file that the servers' user owns, mode 0600. Gives its path. */
export function writeFor(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  return path;
}

export function tool(name: ToolName): Tool {
  const found = readTools(cacheDir)[name];
  if (found === undefined) throw new Error(`${name} is not installed. Fix: ./engineroom setup`);
  return found;
}

/** Postgres refuses root, and host services of a root stack run as this user. */
const account = process.getuid?.() === 0 ? (accountOf("engineroom") ?? accountOf("nobody")) : undefined;

function accountOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

async function serviceDir(name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `engineroom-test-${name}-`));
  await chmod(dir, 0o700);
  if (account !== undefined) chownSync(dir, account.uid, account.gid);
  return dir;
}

function writePassword(dir: string, password: string): Secured {
  return { password, passwordFile: writeFor(dir, "password", `${password}\n`) };
}

/** PATH and nothing else of this process: what a server needs beyond that is given by name. */
function cleanEnv(dir: string, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: dir, LC_ALL: "C.UTF-8", ...env };
}

async function run(program: string, args: readonly string[], dir: string): Promise<void> {
  await promisify(execFile)(program, args, { cwd: dir, env: cleanEnv(dir), timeout: 60_000, ...account });
}

interface StartPlan {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stopSignal?: NodeJS.Signals;
}

async function start({ name, dir, port, argv, env, stopSignal = "SIGTERM" }: StartPlan): Promise<TestServer> {
  const [program = "", ...args] = argv;
  const logFile = writeFor(dir, "log", "");
  const output = openSync(logFile, "a");
  const child = spawn(program, args, {
    cwd: dir,
    env: cleanEnv(dir, env),
    stdio: ["ignore", output, output],
    detached: true,
    ...account,
  });
  closeSync(output);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  const log = () => readFileSync(logFile, "utf8");
  const stop = async () => {
    await end(child, stopSignal);
    await rm(dir, { recursive: true, force: true });
  };
  const probe = async (signal: AbortSignal) =>
    child.exitCode === null
      ? probeTcp({ kind: "tcp", host, port }, signal)
      : ({ status: "failed", reason: `exited with ${child.exitCode}` } as const);
  const report = await waitUntilFinal(probe, { timeoutMs: 30_000, attemptMs: 1000 });
  if (report.outcome.status !== "ready") {
    const words = explain(name, report, { log: log().trimEnd().split("\n") });
    await stop();
    throw new Error(words);
  }
  return { host, port, pid, dir, log, [Symbol.asyncDispose]: stop };
}

/** Ends the group that `child` leads: politely, then by force. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const gone = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, "exit");
  const patience = setTimeout(() => {
    signalGroup(pid, "SIGKILL");
  }, 10_000);
  signalGroup(pid, signal);
  await gone;
  clearTimeout(patience);
  // What its first process left behind in the group.
  signalGroup(pid, "SIGKILL");
}

function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pgid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function serve(server: NetServer): Promise<LocalServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { host, port, url: `http://${host}:${port}`, [Symbol.asyncDispose]: stop };
}

const DRAMATIQ = ["dramatiq==2.2.0", "redis==8.1.0"];

interface Packages {
  readonly python: string;
  readonly packages: string;
}

/** Dramatiq in a directory of its own in the cache, installed once. */
const dramatiq = (): Promise<Packages> => install(DRAMATIQ.join("-"), DRAMATIQ);

/** What the sample application with the workers runs on. */
async function jobs(): Promise<Packages & { readonly app: string }> {
  const app = join(dirname(dirname(import.meta.dirname)), "examples/apps/worker");
  const requirements = join(app, "requirements.txt");
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  return { ...(await install(`jobs-${hash}`, ["--require-hashes", "-r", requirements])), app };
}

async function install(name: string, what: readonly string[]): Promise<Packages> {
  const supervisord = tool("supervisord").path;
  const python = join(dirname(supervisord), "python");
  const packages = join(cacheDir, "test", name);
  if (!existsSync(packages)) {
    const temporary = `${packages}.${process.pid}.tmp`;
    mkdirSync(dirname(packages), { recursive: true });
    try {
      const args = ["-m", "pip", "install", "--quiet", "--no-compile", "--target", temporary, ...what];
      await promisify(execFile)(python, args, { timeout: 120_000 });
      renameSync(temporary, packages);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
  return { python, packages };
}
