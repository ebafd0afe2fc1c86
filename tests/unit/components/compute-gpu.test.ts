import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readStackFile } from "#stack/file.ts";
import { loadStack } from "#stack/load.ts";
import { withModelChoice } from "#stack/model-choice.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, source } from "#tests/support/stack.ts";

// Pulumi.compute-gpu.yaml as shipped; tests/e2e/system-compute-gpu.test.ts runs it.

const file = readStackFile(process.cwd(), "compute-gpu");
if ("problems" in file) throw new Error(JSON.stringify(file.problems));
const { raw, problems } = sectionsOf(file.config);
const app = "./examples/systems/compute-gpu";
const sources = new Map([[app, source("/home/me/lab/examples/systems/compute-gpu", "python")]]);
const loaded = loadStack(raw, { ...context, sources });

describe("Pulumi.compute-gpu.yaml", () => {
  it("has no problem", () => {
    expect(problems).toEqual([]);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  });

  it("is this stack: nobody waits for the model server, which waits for its model", () => {
    if ("problems" in loaded) throw new Error("no plan");
    expect(
      loaded.plan.services.map(({ name, kind, ports, needs, errorLog, stopGraceMs }) => [
        [name, kind, ...ports.map(({ port }) => port)].join(" "),
        needs.join(" "),
        errorLog,
        stopGraceMs / 1000,
      ]),
    ).toEqual([
      ["broker redis 6379", "", undefined, 30],
      ["fastapi web 8000", "broker", "/var/log/compute-gpu/fastapi.err", 10],
      ["llama llama-server 8081", "fastapi", "/var/log/compute-gpu/llama.err", 10],
      ["worker-gpu worker", "broker fastapi", "/var/log/compute-gpu/worker-gpu.err", 60],
    ]);
    expect(loaded.plan.models).toMatchObject([
      {
        path: "/workspace/packages/models/llm/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        missing: "wait",
        waitSeconds: 120,
        stableSeconds: 3,
      },
    ]);
  });

  it("runs on the small model by one line, and back", () => {
    const text = readFileSync("Pulumi.compute-gpu.yaml", "utf8");
    const small = withModelChoice(text, "small");
    expect(small.split("\n").filter((line) => line !== "    models: small")).toEqual(text.split("\n"));
    expect(withModelChoice(small, "declared")).toBe(text);
  });
});
