import { execFile } from "node:child_process";
import { findEngine } from "#setup/docker.ts";
import { executables } from "#setup/path.ts";
import type { StackPlan } from "#stack/plan.ts";

/** One card of NVIDIA. */
export interface Gpu {
  /** Its place in the order of nvidia-smi, which is that of the bus. */
  readonly index: number;
  /** `GPU-…` */
  readonly uuid: string;
  readonly name: string;
  readonly driver: string;
  /** Absent where the card has no memory of its own (`[N/A]`). */
  readonly memory?: { readonly totalBytes: number; readonly freeBytes: number };
}

/** A process that computes on a card. */
export interface GpuProcess {
  readonly uuid: string;
  /** As this host counts. */
  readonly pid: number;
  /** Absent where the driver does not tell (`[N/A]`, as under WSL). */
  readonly bytes?: number;
}

/** Why there are no cards. */
export interface NoGpus {
  readonly state: "none";
  readonly reason: "no nvidia-smi" | "no driver" | "other driver" | "no devices" | "no answer";
  /** In the words of nvidia-smi. */
  readonly detail: string;
}

export type GpuLook =
  { readonly state: "seen"; readonly gpus: readonly Gpu[]; readonly processes: readonly GpuProcess[] } | NoGpus;

/** How the engine hands cards on to containers. */
export interface EngineGpus {
  /** Devices by the Container Device Interface, `nvidia.com/gpu=0`; Docker tells of them since 28.3. */
  readonly cdiDevices: readonly string[];
  /** The NVIDIA Container Toolkit is there for it. */
  readonly hasToolkit: boolean;
}

export interface GpusSeen {
  readonly look: GpuLook;
  /** Where a container is to have a card, and the engine answers. */
  readonly engine?: EngineGpus;
}

/** Undefined where no service asks for a GPU: nothing is run then. */
export async function lookForGpus({ services }: StackPlan, engineHost: string): Promise<GpusSeen | undefined> {
  const asking = services.filter(({ gpu }) => gpu);
  if (asking.length === 0) return undefined;
  const [look, engine] = await Promise.all([
    lookAtGpus(),
    asking.some((service) => service.in === "container") ? engineGpus(engineHost) : undefined,
  ]);
  return { look, ...(engine && { engine }) };
}

const CARDS = "index,uuid,name,driver_version,memory.total,memory.free";
const PROCESSES = "gpu_uuid,pid,used_memory";
const CSV = "--format=csv,noheader,nounits";

export async function lookAtGpus(): Promise<GpuLook> {
  const [cards, processes] = await Promise.all([run([`--query-gpu=${CARDS}`, CSV]), lookAtGpuProcesses()]);
  return cards.code === 0
    ? judgeCards(parseGpus(cards.stdout), processes)
    : { state: "none", ...judgeFailure(cards.code, cards.stdout) };
}

/** Empty where nvidia-smi fails. */
export async function lookAtGpuProcesses(): Promise<readonly GpuProcess[]> {
  const { code, stdout } = await run([`--query-compute-apps=${PROCESSES}`, CSV]);
  return code === 0 ? parseGpuProcesses(stdout) : [];
}

const judgeCards = (gpus: readonly Gpu[], processes: readonly GpuProcess[]): GpuLook =>
  gpus.length > 0
    ? { state: "seen", gpus, processes }
    : { state: "none", reason: "no devices", detail: "it lists none" };

export function parseGpus(stdout: string): readonly Gpu[] {
  return rowsOf(stdout).flatMap(([index = "", uuid = "", ...rest]) => {
    // A name may hold a comma, so that the end is counted from behind.
    const [driver = "", total = "", free = ""] = rest.slice(-3);
    if (!/^\d+$/.test(index) || !uuid.startsWith("GPU-")) return [];
    const [totalBytes, freeBytes] = [mebibytes(total), mebibytes(free)];
    return {
      index: Number(index),
      uuid,
      name: rest.slice(0, -3).join(", "),
      driver,
      ...(totalBytes !== undefined && freeBytes !== undefined && { memory: { totalBytes, freeBytes } }),
    };
  });
}

export function parseGpuProcesses(stdout: string): readonly GpuProcess[] {
  return rowsOf(stdout).flatMap(([uuid = "", pid = "", used = ""]) => {
    if (!/^\d+$/.test(pid) || !uuid.startsWith("GPU-")) return [];
    const bytes = mebibytes(used);
    return { uuid, pid: Number(pid), ...(bytes !== undefined && { bytes }) };
  });
}

const rowsOf = (stdout: string): readonly (readonly string[])[] =>
  stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.split(",").map((cell) => cell.trim()));

const mebibytes = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) * 2 ** 20 : undefined);

/** @param code exit code of nvidia-smi, or why it could not be run. */
export function judgeFailure(code: number | string, stdout: string): Pick<NoGpus, "reason" | "detail"> {
  const [detail = ""] = stdout.split("\n").filter((line) => line.trim() !== "");
  if (code === "ENOENT") return { reason: "no nvidia-smi", detail: "it is not on PATH" };
  if (/couldn't communicate with the NVIDIA driver|Driver Not Loaded/.test(stdout))
    return { reason: "no driver", detail };
  if (stdout.includes("version mismatch")) return { reason: "other driver", detail };
  if (stdout.includes("No devices were found")) return { reason: "no devices", detail };
  return { reason: "no answer", detail: detail || (typeof code === "number" ? `exit code ${code}` : code) };
}

/** Without the persistence daemon the driver wakes the cards first: seconds. */
const ANSWER_MS = 20_000;

function run(args: readonly string[]): Promise<{ readonly code: number | string; readonly stdout: string }> {
  const env = { ...process.env, LC_ALL: "C" };
  return new Promise((resolve) => {
    execFile("nvidia-smi", args, { env, timeout: ANSWER_MS, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout });
      else
        resolve({
          code: error.killed ? `no answer in ${ANSWER_MS / 1000} s` : (error.code ?? 1),
          stdout: stdout + stderr,
        });
    });
  });
}

/** Where dockerd looks for it, too. */
const TOOLKIT = "nvidia-container-runtime-hook";

async function engineGpus(host: string): Promise<EngineGpus | undefined> {
  const look = await findEngine({ ...process.env, DOCKER_HOST: host });
  if ("none" in look) return undefined;
  const { cdiDevices, runtimes } = look.engine;
  const hasHook = executables(process.env, [TOOLKIT], ["/usr/bin", "/usr/local/bin"]).length > 0;
  return { cdiDevices, hasToolkit: runtimes.includes("nvidia") || hasHook };
}
