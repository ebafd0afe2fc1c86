import type { Gpu, GpusSeen, NoGpus } from "#observe/gpu.ts";
import { gpuWords, type GpuPlan } from "#stack/gpu.ts";
import type { Place, ServicePlan, StackPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";

/** How an engine is asked for cards, as the provider takes it. */
export interface GpuRequest {
  /** `cdi`: by names of the Container Device Interface; `nvidia`: by the hook of NVIDIA's toolkit. */
  readonly driver: "cdi" | "nvidia";
  readonly deviceIds?: string[];
  /** -1: all. */
  readonly count?: number;
  readonly capabilities?: string[];
}

type Lack = Pick<Problem, "code" | "got" | "fix">;

/** Every required service that must have a GPU and does not get it. */
export const gpuProblems = ({ services }: StackPlan, seen: GpusSeen): readonly Problem[] =>
  services.filter(({ required }) => required).flatMap((service) => gpuProblem(service, seen) ?? []);

/** Undefined where a service gets its cards, or the CPU will do. */
export function gpuProblem({ name, in: place, gpu }: ServicePlan, seen: GpusSeen): Problem | undefined {
  const lack = gpu?.required ? lackOf(gpu, place, seen) : undefined;
  return gpu && lack && { where: `services.${name}.gpu`, expected: `${gpuWords(gpu)} of this host`, ...lack };
}

/** Why a service does not get its cards; undefined where it does. */
export function lackOf(gpu: GpuPlan, place: Place, { look, engine }: GpusSeen): Lack | undefined {
  if (look.state === "none") {
    return { code: "GPU_MISSING", got: noneWords(look), fix: `${FIXES[look.reason]}; or ${WITHOUT}` };
  }
  if (cardsOf(gpu, look.gpus).length < wantedOf(gpu)) {
    const cards = look.gpus.map(({ index, name, uuid }) => `${index}: ${name}, ${uuid}`).join("; ");
    return { code: "GPU_MISSING", got: `${look.gpus.length} (${cards})`, fix: `ask for one of these, or ${WITHOUT}` };
  }
  // An engine that does not answer is told of by itself.
  if (place === "host" || !engine || requestOf(gpu, { look, engine })) return undefined;
  const devices = engine.cdiDevices.filter((device) => device.startsWith("nvidia.com/"));
  return {
    code: "GPU_ENGINE",
    got: `a Docker engine that hands out ${devices.length > 0 ? devices.join(", ") : "none: it has neither CDI devices of NVIDIA nor its runtime"}`,
    fix: `${TOOLKIT}; or ${WITHOUT}`,
  };
}

const WITHOUT = "set `required: false` in it, for the CPU";
const TOOLKIT =
  "install the NVIDIA Container Toolkit, then `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` (Docker 28.3 or newer) or `nvidia-ctk runtime configure`, and restart Docker (docs/gpu.md)";
const FIXES: Readonly<Record<NoGpus["reason"], string>> = {
  "no nvidia-smi": "install the driver of NVIDIA, which brings nvidia-smi",
  "no driver": "load the driver (modprobe nvidia; dmesg says why it does not), or install the one for this kernel",
  "other driver": "restart the machine: its driver was updated, and the old one is still loaded",
  "no devices": "see that the card shows in `lspci`, and in `dmesg` why the driver does not take it",
  "no answer": "run nvidia-smi yourself",
};

const noneWords = ({ reason, detail }: NoGpus): string => `none: ${reason} (${detail})`;

/** The cards that it is given, of those that are there. */
export const cardsOf = ({ devices }: GpuPlan, gpus: readonly Gpu[]): readonly Gpu[] =>
  gpus.filter(({ uuid, index }) => devices === "all" || devices.includes(uuid) || devices.includes(`${index}`));

const wantedOf = ({ devices }: GpuPlan): number => (devices === "all" ? 1 : new Set(devices).size);

/**
 * By CDI where the engine lists the cards: a container then keeps them when systemd reloads. Undefined where it has no
 * way, or the cards are not there.
 */
export function requestOf(gpu: GpuPlan, { look, engine }: GpusSeen): GpuRequest | undefined {
  if (!engine || look.state === "none" || cardsOf(gpu, look.gpus).length < wantedOf(gpu)) return undefined;
  const names = gpu.devices === "all" ? ["all"] : gpu.devices;
  const devices = names.map((name) => `nvidia.com/gpu=${name}`);
  if (devices.every((device) => engine.cdiDevices.includes(device))) return { driver: "cdi", deviceIds: devices };
  if (!engine.hasToolkit) return undefined;
  return {
    driver: "nvidia",
    ...(gpu.devices === "all" ? { count: -1 } : { deviceIds: [...gpu.devices] }),
    capabilities: ["gpu"],
  };
}

/** Those of a stack that ask for a GPU. */
export const gpuServices = ({ services }: StackPlan): readonly (ServicePlan & { readonly gpu: GpuPlan })[] =>
  services.flatMap((service) => (service.gpu ? [{ ...service, gpu: service.gpu }] : []));
