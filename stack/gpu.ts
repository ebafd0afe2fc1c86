import type { GpuSettings } from "./schema.ts";

/** Cards that a service is given. */
export interface GpuPlan {
  /** All, or each by its UUID, or by its place in the order of nvidia-smi. */
  readonly devices: "all" | readonly string[];
  /** False: where there is none, it runs on the CPU. */
  readonly required: boolean;
}

export function gpuPlan(gpu: GpuSettings | undefined): GpuPlan | undefined {
  if (gpu === undefined) return undefined;
  if (gpu === "all") return { devices: "all", required: true };
  const { required } = gpu;
  if ("uuids" in gpu) return { devices: gpu.uuids, required };
  return {
    devices: gpu.count === "all" ? "all" : Array.from({ length: gpu.count }, (_, place) => `${place}`),
    required,
  };
}

/** What keeps a process of this host to its cards. CUDA would count them by their speed, nvidia-smi counts by the bus. */
export const gpuEnv = ({ devices }: GpuPlan): Readonly<Record<string, readonly [string]>> =>
  devices === "all" ? {} : { CUDA_DEVICE_ORDER: ["PCI_BUS_ID"], CUDA_VISIBLE_DEVICES: [devices.join(",")] };

/** `GPU 0`, `GPUs 0, 1`, `all GPUs` */
export const gpuWords = ({ devices }: GpuPlan): string =>
  devices === "all" ? "all GPUs" : `${devices.length === 1 ? "GPU" : "GPUs"} ${devices.join(", ")}`;
