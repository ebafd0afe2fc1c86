import { existsSync } from "node:fs";
import { freeBytes } from "#checks/disk.ts";
import { UserError } from "#cli/errors.ts";
import { askEngine, defaultHost, engineHost } from "#setup/docker-api.ts";
import { isDebianLike } from "#setup/apt.ts";
import { executables } from "#setup/path.ts";
import { atLeast } from "#setup/version.ts";
import { problemLine, type Problem } from "#stack/problems.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A container engine that answers. */
export interface Engine {
  /** `unix:///var/run/docker.sock` */
  readonly host: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly cgroupVersion: 1 | 2;
  readonly storageDriver: string;
  /** Where it keeps images, containers and volumes. */
  readonly rootDir: string;
  /** Undefined where this is not the engine's machine, or its directory cannot be seen. */
  readonly freeBytes: number | undefined;
  /** `runc`, `nvidia`, … */
  readonly runtimes: readonly string[];
  /** Devices that it hands out by the Container Device Interface: `nvidia.com/gpu=all`, … */
  readonly cdiDevices: readonly string[];
  readonly rootless: boolean;
}

/** Why nobody answers. */
export interface NoEngine {
  readonly host: string;
  readonly reason: "not installed" | "not running" | "no permission" | "no answer";
  /** In the words of the system. */
  readonly detail: string;
}

export type EngineLook = { readonly engine: Engine } | { readonly none: NoEngine };

const answerWithinMs = 5_000;

/** Asks the engine that docker's own command line would ask. Never throws. */
export async function findEngine(env: Environment): Promise<EngineLook> {
  const host = engineHost(env);
  try {
    const signal = AbortSignal.timeout(answerWithinMs);
    const [version, info] = await Promise.all([
      askEngine<VersionAnswer>(host, { path: "/version", signal }),
      askEngine<InfoAnswer>(host, { path: "/info", signal }),
    ]);
    return { engine: await engineOf(host, version, info) };
  } catch (error) {
    return { none: { host, ...reasonOf(error, isInstalled(host, env)) } };
  }
}

interface VersionAnswer {
  readonly Version: string;
  readonly ApiVersion: string;
}

interface InfoAnswer {
  readonly CgroupVersion?: string;
  readonly Driver: string;
  readonly DockerRootDir: string;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly DiscoveredDevices?: readonly { readonly Source: string; readonly ID: string }[] | null;
  readonly SecurityOptions?: readonly string[] | null;
}

async function engineOf(host: string, version: VersionAnswer, info: InfoAnswer): Promise<Engine> {
  const isHere = host.startsWith("unix://") && existsSync(info.DockerRootDir);
  const devices = info.DiscoveredDevices ?? [];
  return {
    host,
    version: version.Version,
    apiVersion: version.ApiVersion,
    cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
    storageDriver: info.Driver,
    rootDir: info.DockerRootDir,
    freeBytes: isHere ? await freeBytes(info.DockerRootDir).catch(() => undefined) : undefined,
    runtimes: Object.keys(info.Runtimes ?? {}).sort(),
    cdiDevices: devices.filter(({ Source }) => Source === "cdi").map(({ ID }) => ID),
    rootless: (info.SecurityOptions ?? []).some((option) => option.startsWith("name=rootless")),
  };
}

/** `20.10.24 (API 1.41) at unix:///var/run/docker.sock, cgroup v1, overlay2, 71.0 GiB free` */
export function engineWords(engine: Engine): string {
  const gpus = [...engine.runtimes.filter((runtime) => runtime === "nvidia"), ...engine.cdiDevices];
  return [
    `${engine.version} (API ${engine.apiVersion}) at ${engine.host}`,
    `cgroup v${engine.cgroupVersion}`,
    engine.storageDriver,
    ...(engine.freeBytes === undefined ? [] : [`${gibibytes(engine.freeBytes)} free`]),
    ...(engine.rootless ? ["rootless"] : []),
    ...(gpus.length > 0 ? [`GPU: ${gpus.join(", ")}`] : []),
  ].join(", ");
}

/** An engine elsewhere counts as installed: nothing here could install it. */
function isInstalled(host: string, env: Environment): boolean {
  return host !== defaultHost || findDockerd(env) !== undefined;
}

export function findDockerd(env: Environment): string | undefined {
  return executables(env, ["dockerd"], ["/usr/sbin", "/usr/bin", "/usr/local/bin"])[0];
}

function reasonOf(error: unknown, installed: boolean): Pick<NoEngine, "reason" | "detail"> {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") return { reason: "no permission", detail: message };
  if (code === "ENOENT" || code === "ECONNREFUSED")
    return { reason: installed ? "not running" : "not installed", detail: message };
  return { reason: "no answer", detail: message };
}

const MINIMUM_API = "1.41";
const MINIMUM_FREE = 2 * 2 ** 30;

/** What a person here can do about it. */
export interface Here {
  readonly asRoot: boolean;
  readonly debianLike: boolean;
  readonly systemd: boolean;
}

export function lookHere(): Here {
  return {
    asRoot: process.getuid?.() === 0,
    debianLike: isDebianLike(),
    systemd: existsSync("/run/systemd/system"),
  };
}

/** What is in the way of containers. */
export function judgeEngine(look: EngineLook, here: Here): readonly Problem[] {
  if ("none" in look) return [unreachable(look.none, here)];
  const { engine } = look;
  const where = `Docker engine at ${engine.host}`;
  const problems: Problem[] = [];
  if (!atLeast(engine.apiVersion, MINIMUM_API)) {
    problems.push({
      code: "DOCKER_OLD",
      where,
      expected: `Docker 20.10 or newer (API ${MINIMUM_API})`,
      got: `${engine.version} (API ${engine.apiVersion})`,
      fix: "bring it up to date: https://docs.docker.com/engine/install/",
    });
  }
  if (engine.freeBytes !== undefined && engine.freeBytes < MINIMUM_FREE) {
    problems.push({
      code: "DOCKER_DISK",
      where: `${engine.rootDir}, where the Docker engine keeps images and volumes`,
      expected: `${gibibytes(MINIMUM_FREE)} free`,
      got: gibibytes(engine.freeBytes),
      fix: "free some; docker system df tells what takes how much",
    });
  }
  return problems;
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function unreachable({ host, reason, detail }: NoEngine, here: Here): Problem {
  const fixes: Readonly<Record<NoEngine["reason"], string>> = {
    "not installed": here.debianLike
      ? `${here.asRoot ? "" : "sudo "}./engineroom setup --docker`
      : "install it (https://docs.docker.com/engine/install/)",
    "not running": startWords(host, here),
    "no permission": "sudo usermod -aG docker $USER, then log in anew; members of that group can become root",
    "no answer": "look at the engine's log (journalctl -u docker); DOCKER_HOST may name another engine",
  };
  return {
    code: "DOCKER_UNREACHABLE",
    where: `Docker engine at ${host}`,
    expected: "an answer",
    got: reason === "not installed" ? "none: no engine is installed" : `${reason} (${detail})`,
    fix: fixes[reason],
  };
}

function startWords(host: string, { asRoot, systemd }: Here): string {
  if (host !== defaultHost)
    return `start the engine that listens there, or unset what names it (DOCKER_HOST, docker context use default)`;
  const sudo = asRoot ? "" : "sudo ";
  return systemd ? `${sudo}systemctl enable --now docker` : `${sudo}./engineroom setup --docker`;
}

/** The engine, where containers can be run on it; throws what is in the way. */
export async function requireEngine(env: Environment): Promise<Engine> {
  const look = await findEngine(env);
  const [problem] = judgeEngine(look, lookHere());
  if (problem === undefined && "engine" in look) return look.engine;
  if (problem === undefined) throw new Error("an engine that does not answer was judged to be fine");
  const { code, fix } = problem;
  const line = problemLine(problem);
  throw new UserError(code, line.slice(0, line.indexOf(" Fix: ")), { fix });
}
