import { describe, expect, it } from "vitest";
import { judgeFailure, parseGpuProcesses, parseGpus } from "#observe/gpu.ts";

// Recorded outputs of nvidia-smi, from public issues and logs; the columns are in our order. No card was at hand.

const MIB = 2 ** 20;

describe("the cards", () => {
  it("are read line by line", () =>
    // Machines with a GeForce RTX 2080 (Ricks-Lab/gpu-utils issue 83) and with H200 cards (a log of 8 of them).
    expect(
      parseGpus(
        "0, GPU-22b2c6ac-2d49-4863-197c-9c469071178a, GeForce RTX 2080, 440.64, 7979, 7868\n" +
          "1, GPU-02dbe542-8a6f-11a4-7c2a-486b7d4e9092, NVIDIA H200, 580.159.03, 143771, 13778\n",
      ),
    ).toEqual([
      {
        index: 0,
        uuid: "GPU-22b2c6ac-2d49-4863-197c-9c469071178a",
        name: "GeForce RTX 2080",
        driver: "440.64",
        memory: { totalBytes: 7979 * MIB, freeBytes: 7868 * MIB },
      },
      {
        index: 1,
        uuid: "GPU-02dbe542-8a6f-11a4-7c2a-486b7d4e9092",
        name: "NVIDIA H200",
        driver: "580.159.03",
        memory: { totalBytes: 143_771 * MIB, freeBytes: 13_778 * MIB },
      },
    ]));

  // A DGX Spark says [N/A], drivers of before 2020 said [Not Supported] (enkore/i3pystatus pull request 776).
  it.each(["[N/A]", "[Not Supported]"])("have no memory of their own where it says %s", (none) =>
    expect(parseGpus(`0, GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, NVIDIA GB10, 580.142, ${none}, ${none}\n`)).toEqual([
      { index: 0, uuid: "GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", name: "NVIDIA GB10", driver: "580.142" },
    ]),
  );

  it.each(["", "\n", "No devices were found\n"])("are none in %j", (text) => expect(parseGpus(text)).toEqual([]));
});

describe("the processes that compute", () => {
  it("are read with what they take", () =>
    // Of the same machine with eight cards; under WSL the driver tells no memory.
    expect(
      parseGpuProcesses(
        "GPU-a44622e3-2296-6285-0a86-84d0f6c67900, 1328667, 130004\n" +
          "GPU-4e9e74b7-4977-f04d-3af3-ccfe5f570e90, 1425258, [N/A]\n",
      ),
    ).toEqual([
      { uuid: "GPU-a44622e3-2296-6285-0a86-84d0f6c67900", pid: 1_328_667, bytes: 130_004 * MIB },
      { uuid: "GPU-4e9e74b7-4977-f04d-3af3-ccfe5f570e90", pid: 1_425_258 },
    ]));

  it("may be none", () => expect(parseGpuProcesses("")).toEqual([]));
});

describe("what nvidia-smi says instead", () => {
  const driver =
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.";
  it.each<[string, number | string, string, string, string]>([
    ["it is not there", "ENOENT", "", "no nvidia-smi", "it is not on PATH"],
    // GoogleCloudPlatform/compute-gpu-installation pull request 18
    ["no driver is loaded", 9, `${driver}\n\n`, "no driver", driver],
    // anderskm/gputil issue 55
    [
      "another driver is loaded",
      18,
      "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161\n",
      "other driver",
      "Failed to initialize NVML: Driver/library version mismatch",
    ],
    // NVIDIA/open-gpu-kernel-modules issue 862
    ["no card answers", 6, "No devices were found\n", "no devices", "No devices were found"],
    // NVIDIA/nvidia-container-toolkit issue 48: what a container says that has lost its cards
    [
      "something else",
      255,
      "Failed to initialize NVML: Unknown Error\n",
      "no answer",
      "Failed to initialize NVML: Unknown Error",
    ],
    ["nothing", "no answer in 20 s", "", "no answer", "no answer in 20 s"],
  ])("%s", (_what, code, stdout, reason, detail) => expect(judgeFailure(code, stdout)).toEqual({ reason, detail }));
});
