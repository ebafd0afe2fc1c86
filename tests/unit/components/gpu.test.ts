import { describe, expect, it } from "vitest";
import { containerSpec } from "#runtime/container-spec.ts";
import { readStackFile } from "#stack/file.ts";
import { loadStack, type LoadContext } from "#stack/load.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, readable, source } from "#tests/support/stack.ts";

// Pulumi.gpu.yaml as shipped; the cards themselves are for preflight, which a plan knows nothing of.

const file = readStackFile(process.cwd(), "gpu");
if ("problems" in file) throw new Error(JSON.stringify(file.problems));
const { raw, problems } = sectionsOf(file.config);
const sources = new Map([
  ["./examples/apps/api", source("/home/me/lab/examples/apps/api", "python")],
  ["./examples/apps/web", source("/home/me/lab/examples/apps/web", "node", { hash: "b".repeat(64) })],
]);

const images = {
  source: "registry",
  references: { ...context.images!.references, "llama-server-cuda": "llama-cuda:1" },
};
const loaded = loadStack(raw, { ...context, sources, images: images as LoadContext["images"] });

describe("Pulumi.gpu.yaml", () => {
  it("has no problem", () => {
    expect(problems).toEqual([]);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  });

  it("has its models on the first card", () => {
    if ("problems" in loaded) throw new Error("no plan");
    const { services } = loaded.plan;
    const rows = services.flatMap((service) => {
      const spec = containerSpec(service, loaded.plan);
      const { gpu, loads, check } = service;
      return gpu
        ? [
            [
              service.name,
              spec?.image,
              spec?.command.join(" "),
              gpu,
              loads?.models.map((load) => ({ ...load, file: load.file?.name })),
              check?.gpu,
            ],
          ]
        : [];
    });
    expect(readable(rows)).toMatchInlineSnapshot(`
      [
        [
          "chat",
          "llama-cuda:1",
          "--model /models/gemma-3-270m-q4_k_m.gguf --alias gemma-270m --host 0.0.0.0 --port 8081 --ctx-size 8192 --parallel 2 --n-gpu-layers 999 --log-verbosity 4 --chat-template-file /run/engineroom/chat-template.jinja",
          {
            "devices": [
              "0",
            ],
            "required": true,
          },
          [
            {
              "cacheTypes": [
                "f16",
                "f16",
              ],
              "contextSize": 8192,
              "file": "gemma-270m",
              "layers": "all",
              "name": "gemma-270m",
              "parallel": 2,
            },
          ],
          {
            "layers": "all",
            "required": true,
          },
        ],
        [
          "ollama",
          "ollama:0",
          "serve",
          {
            "devices": [
              "0",
            ],
            "required": true,
          },
          [
            {
              "cacheTypes": [
                "f16",
                "f16",
              ],
              "contextSize": 4096,
              "file": "gemma-270m",
              "layers": "all",
              "name": "gemma-270m:latest",
              "parallel": 1,
            },
          ],
          {
            "required": true,
          },
        ],
      ]
    `);
  });

  it("is the stack of Pulumi.dev.yaml but for its models and ports", () => {
    const dev = readStackFile(process.cwd(), "dev");
    if ("problems" in dev) throw new Error(JSON.stringify(dev.problems));
    const { services, ...others } = sectionsOf(dev.config).raw as { services: object; settings: object };
    const { chat: _chat, ollama: _ollama, ...same } = raw.services as Record<string, object>;
    expect({ ...raw, services: { ...same } }).toEqual({
      ...others,
      settings: { ...others.settings, portOffset: 30_000 },
      services: Object.fromEntries(Object.entries(services).filter(([name]) => name !== "chat")),
    });
  });
});
