import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { readText } from "#observe/records.ts";
import { aptInstall } from "#setup/apt.ts";
import { findDockerd, findEngine, lookHere, requireEngine, type Engine } from "#setup/docker.ts";
import { defaultHost, engineHost } from "#setup/docker-api.ts";
import { lastLine } from "#setup/run.ts";
import { prepared, type SetupOptions } from "#setup/setup.ts";
import { hostPlaces } from "#stack/places.ts";

type Options = Omit<SetupOptions, "parts">;

/**
 * Sees that a container engine answers. As root on a Debian or Ubuntu it installs docker.io where there is no engine,
 * and starts it where nothing else would; otherwise it says what to do. One that answers is left as it is.
 */
export async function setUpEngine(options: Options): Promise<Engine> {
  const { env, install, report } = options;
  const look = await findEngine(env);
  const here = lookHere();
  const canStart = install && here.asRoot && engineHost(env) === defaultHost;
  if ("engine" in look || !canStart || (look.none.reason === "not installed" && !here.debianLike)) {
    return requireEngine(env);
  }
  await prepared(options, "docker", async (context) => {
    if (findDockerd(env) === undefined) {
      await aptInstall(context, ["docker.io"], "because no container engine is here");
    }
    if (here.systemd) await startUnit();
    else await startDockerd({ env, report, logFile: join(hostPlaces(env, 0).stateHome, "dockerd.log") });
  });
  const engine = await requireEngine(env);
  report(`Docker engine ${engine.version}: answers at ${engine.host}`);
  return engine;
}

async function startUnit(): Promise<void> {
  const { execa } = await import("execa");
  const ran = await execa("systemctl", ["enable", "--now", "docker"], { reject: false, all: true, timeout: 120_000 });
  if (ran.failed) throw notStarted(lastLine(ran.all) ?? ran.shortMessage ?? "", "journalctl -u docker");
}

interface Start {
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
  readonly logFile: string;
  /** For an engine beside another one: an address, directories and a PID file of its own. */
  readonly host?: string;
  readonly args?: readonly string[];
  readonly pidFile?: string;
}

const startWithinMs = 60_000;

/**
 * Starts dockerd in a session of its own, and waits until it answers. Where one is starting already it waits for that:
 * dockerd's usual PID file is what keeps two apart, also one that somebody else starts.
 *
 * @returns its process id.
 */
export async function startDockerd(start: Start): Promise<number> {
  const { env, report, logFile, host = defaultHost, args = [], pidFile = "/var/run/docker.pid" } = start;
  const running = livingPid(pidFile);
  if (running !== undefined) {
    await untilAnswers(host, () => (livingPid(pidFile) === running ? undefined : "it ended"), logFile);
    return running;
  }
  const dockerd = findDockerd(env);
  if (dockerd === undefined) throw new Error("dockerd was to be started before it was installed");
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, "a", 0o640);
  const own = [`--host=${host}`, `--pidfile=${pidFile}`, ...args];
  const child = spawn(dockerd, own, {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
    env: ownEnvironment(env),
  });
  closeSync(log);
  let ended: string | undefined;
  child.on("error", (error) => (ended = error.message));
  child.on("exit", (code, signal) => (ended = `it ended with ${code ?? signal ?? "nothing"}`));
  await untilAnswers(host, () => ended, logFile);
  child.removeAllListeners();
  child.unref();
  const pid = child.pid ?? 0;
  report(`dockerd: started, process ${pid} (log ${logFile}); kill ${pid} ends it, with its containers`);
  return pid;
}

async function untilAnswers(host: string, ended: () => string | undefined, logFile: string): Promise<void> {
  const deadline = Date.now() + startWithinMs;
  for (;;) {
    const look = await findEngine({ DOCKER_HOST: host });
    if ("engine" in look) return;
    const end = ended() ?? (Date.now() > deadline ? `no answer in ${startWithinMs / 1000} s` : undefined);
    if (end !== undefined) throw notStarted(`${end}${lastError(logFile)}`, logFile);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** dockerd's own last word, which says what it misses. */
function lastError(logFile: string): string {
  const lines = (readText(logFile) ?? "").trim().split("\n");
  const last = lines.findLast((line) => !/level=(debug|info|warning)/.test(line)) ?? lines.at(-1);
  return last ? `; its log: ${last}` : "";
}

function notStarted(got: string, log: string): UserError {
  return new UserError("SETUP_FAILED", `Docker engine: expected it to start, got: ${got}.`, {
    fix: `see ${log}; inside a container dockerd needs --privileged`,
  });
}

function livingPid(pidFile: string): number | undefined {
  const pid = Number.parseInt(readText(pidFile) ?? "", 10);
  if (!(pid > 0)) return undefined;
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "dockerd" ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** What a daemon needs of this shell's environment: nobody's secrets. */
function ownEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const wanted = /^(PATH|HOME|(HTTPS?|NO|ALL|FTP)_PROXY|(https?|no|all|ftp)_proxy|SSL_CERT_(FILE|DIR)|DOCKER_RAMDISK)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => wanted.test(name)));
}
