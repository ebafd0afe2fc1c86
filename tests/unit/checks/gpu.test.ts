import { describe, expect, it } from "vitest";
import { gpuProblems, lackOf, requestOf } from "#checks/gpu.ts";
import type { EngineGpus, GpuLook, GpusSeen } from "#observe/gpu.ts";
import { gpuEnv, gpuPlan } from "#stack/gpu.ts";
import { planOf } from "#tests/support/stack.ts";

// Two cards as nvidia-smi would tell of them (tests/unit/observe/gpu.test.ts has the recordings); none was at hand.

const A = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a";
const B = "GPU-02dbe542-8a6f-11a4-7c2a-486b7d4e9092";
const UNKNOWN = "GPU-00000000-0000-0000-0000-000000000000";
const two: GpuLook = {
  state: "seen",
  gpus: [
    { index: 0, uuid: A, name: "GeForce RTX 2080", driver: "580.142" },
    { index: 1, uuid: B, name: "NVIDIA H200", driver: "580.142" },
  ],
  processes: [],
};
const none: GpuLook = { state: "none", reason: "no nvidia-smi", detail: "it is not on PATH" };
const plain: EngineGpus = { cdiDevices: [], hasToolkit: false };
const toolkit: EngineGpus = { cdiDevices: [], hasToolkit: true };
// As `docker info` of an engine 29.4.3 lists them, beside those of other vendors and classes.
const cdi: EngineGpus = {
  cdiDevices: [
    "management.nvidia.com/gpu=all",
    "nvidia.com/gpu=0",
    "nvidia.com/gpu=1",
    `nvidia.com/gpu=${A}`,
    "nvidia.com/gpu=all",
  ],
  hasToolkit: false,
};
const seen = (look: GpuLook, engine?: EngineGpus): GpusSeen => ({ look, ...(engine && { engine }) });
const wants = (devices: "all" | readonly string[]) => ({ devices, required: true });

describe("a setting", () => {
  it.each<[Parameters<typeof gpuPlan>[0], ReturnType<typeof gpuPlan>]>([
    [undefined, undefined],
    ["all", { devices: "all", required: true }],
    [
      { count: 2, required: true },
      { devices: ["0", "1"], required: true },
    ],
    [
      { count: "all", required: false },
      { devices: "all", required: false },
    ],
    [
      { uuids: [B, A], required: true },
      { devices: [B, A], required: true },
    ],
  ])("%j is %j", (setting, plan) => expect(gpuPlan(setting)).toEqual(plan));

  it("keeps a process to its cards", () =>
    expect([gpuEnv(wants([B, A])), gpuEnv(wants("all"))]).toEqual([
      { CUDA_DEVICE_ORDER: ["PCI_BUS_ID"], CUDA_VISIBLE_DEVICES: [`${B},${A}`] },
      {},
    ]));
});

describe("what is lacking", () => {
  it.each<[string, "all" | readonly string[], "host" | "container", GpusSeen, string | undefined]>([
    ["nothing, on the host", ["0"], "host", seen(two), undefined],
    ["nothing, with CDI", ["0", "1"], "container", seen(two, cdi), undefined],
    ["nothing, with the toolkit", [B], "container", seen(two, toolkit), undefined],
    ["nothing known of an engine that is down", "all", "container", seen(two), undefined],
    ["all of them", "all", "host", seen(none), "none: no nvidia-smi (it is not on PATH)"],
    ["one of three", ["0", "1", "2"], "host", seen(two), `2 (0: GeForce RTX 2080, ${A}; 1: NVIDIA H200, ${B})`],
    ["one of another name", [UNKNOWN], "host", seen(two), `2 (0: GeForce RTX 2080, ${A}; 1: NVIDIA H200, ${B})`],
    [
      "the engine's part",
      "all",
      "container",
      seen(two, plain),
      "a Docker engine that hands out none: it has neither CDI devices of NVIDIA nor its runtime",
    ],
    [
      "one card in the engine's list",
      [B],
      "container",
      seen(two, cdi),
      `a Docker engine that hands out nvidia.com/gpu=0, nvidia.com/gpu=1, nvidia.com/gpu=${A}, nvidia.com/gpu=all`,
    ],
  ])("%s", (_what, devices, place, look, got) => expect(lackOf(wants(devices), place, look)?.got).toBe(got));

  it("is told of services that need it", () => {
    const web = { kind: "web", build: "./app", command: ["x"] };
    const plan = planOf({
      services: { a: { ...web, gpu: { count: 1 } }, b: { ...web, port: 9000, gpu: { count: 1, required: false } } },
    });
    expect(gpuProblems(plan, seen(none))).toEqual([
      {
        code: "GPU_MISSING",
        where: "services.a.gpu",
        expected: "GPU 0 of this host",
        got: "none: no nvidia-smi (it is not on PATH)",
        fix: "install the driver of NVIDIA, which brings nvidia-smi; or set `required: false` in it, for the CPU",
      },
    ]);
  });
});

describe("an engine is asked for", () => {
  it.each<[string, "all" | readonly string[], GpusSeen, unknown]>([
    [
      "names of CDI",
      ["1", A],
      seen(two, { ...cdi, hasToolkit: true }),
      { driver: "cdi", deviceIds: ["nvidia.com/gpu=1", `nvidia.com/gpu=${A}`] },
    ],
    ["all by CDI", "all", seen(two, cdi), { driver: "cdi", deviceIds: ["nvidia.com/gpu=all"] }],
    ["cards by the toolkit", [B], seen(two, toolkit), { driver: "nvidia", deviceIds: [B], capabilities: ["gpu"] }],
    ["all by the toolkit", "all", seen(two, toolkit), { driver: "nvidia", count: -1, capabilities: ["gpu"] }],
    ["nothing without a card", "all", seen(none, toolkit), undefined],
    ["nothing that is not there", [UNKNOWN], seen(two, toolkit), undefined],
    ["nothing of an engine without either", "all", seen(two, plain), undefined],
  ])("%s", (_what, devices, look, request) => expect(requestOf(wants(devices), look)).toEqual(request));
});
