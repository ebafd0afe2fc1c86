import { describe, expect, it } from "vitest";
import { leftOut, preflight } from "#checks/preflight.ts";
import type { World } from "#observe/world.ts";
import { worldOf } from "#tests/support/registered.ts";

const worldWith = (required: boolean): World =>
  worldOf({
    models: { gone: { file: "/nowhere/gone.gguf" } },
    services: { chat: { kind: "llama-server", model: "gone", required } },
  });

const refusals = async (world: World): Promise<readonly string[]> =>
  (await preflight(world)).flatMap(({ code, where }) => (code === "MODEL_FILE" ? [where] : []));

describe("a service whose model is not there", () => {
  it("is refused where it is required", async () => {
    expect(await refusals(worldWith(true))).toEqual(["models.gone"]);
    expect(await leftOut(worldWith(true))).toEqual(new Map());
  });

  it("is left out where it is not", async () => {
    expect(await refusals(worldWith(false))).toEqual([]);
    expect([...(await leftOut(worldWith(false))).entries()]).toMatchObject([
      ["chat", { code: "MODEL_FILE", where: "models.gone", got: "/nowhere/gone.gguf does not exist" }],
    ]);
  });
});

describe("a service whose GPU is not there", () => {
  const world = (required: boolean): World => ({
    ...worldOf({ services: { job: { kind: "process", command: ["sleep", "9"], gpu: "all", required } } }),
    gpus: { look: { state: "none", reason: "no nvidia-smi", detail: "it is not on PATH" } },
  });
  const missing = { code: "GPU_MISSING", where: "services.job.gpu", expected: "all GPUs of this host" };

  it("is refused where it is required", async () => {
    expect((await preflight(world(true))).filter(({ code }) => code === "GPU_MISSING")).toMatchObject([missing]);
    expect(await leftOut(world(true))).toEqual(new Map());
  });

  it("is left out where it is not", async () => {
    expect((await preflight(world(false))).filter(({ code }) => code === "GPU_MISSING")).toEqual([]);
    expect([...(await leftOut(world(false))).entries()]).toMatchObject([["job", missing]]);
  });
});
