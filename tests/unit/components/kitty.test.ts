import { describe, expect, it } from "vitest";
import { readStackFile } from "#stack/file.ts";
import { loadStack } from "#stack/load.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, readable, source } from "#tests/support/stack.ts";

// Pulumi.kitty.yaml as shipped.

const file = readStackFile(process.cwd(), "kitty");
if ("problems" in file) throw new Error(JSON.stringify(file.problems));
const { raw, problems } = sectionsOf(file.config);
const sources = new Map(
  (["app", "images", "ui"] as const).map((name) => {
    const directory = `examples/systems/kitty/${name}`;
    return [`./${directory}`, source(`/home/me/lab/${directory}`, name === "ui" ? "node" : "python")] as const;
  }),
);
const loaded = loadStack(raw, { ...context, sources });

describe("Pulumi.kitty.yaml", () => {
  it("has no problem", () => {
    expect(problems).toEqual([]);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  });

  it("is this stack", () => {
    if ("problems" in loaded) throw new Error("no plan");
    const { services, disabled, network, imageBuilds } = readable(loaded.plan);
    const rows = services.map(({ name, in: place, kind, ports, needs, required }) => {
      const where = ports.map(({ port }) => port).join(" ");
      return `${name}: ${kind}, ${place}${required ? "" : ", optional"}; ${where}; ${needs.join(" ")}`.trimEnd();
    });
    expect(rows).toMatchInlineSnapshot(`
      [
        "relay: relay, host; 8082 8083 8085 8086;",
        "llamacpp-q4: llama-server, host; 8083;",
        "llamacpp-f16: llama-server, host; 8082;",
        "llamacpp-summary: llama-server, host, optional; 8085;",
        "llamacpp-vision: llama-server, host, optional; 8086;",
        "redis: redis, container; 6379;",
        "jobs: redis, container; 6380;",
        "postgres: postgres, container; 5432;",
        "mosquitto: mqtt, container; 1883 9001;",
        "minio: object-store, container; 9000;",
        "migrate: job, container; ; postgres",
        "brain: web, container; 8000; relay llamacpp-f16 llamacpp-q4 llamacpp-summary llamacpp-vision migrate mosquitto postgres redis",
        "gateway: web, container; 8080; brain minio",
        "cad: web, container; 8200; relay brain llamacpp-vision minio",
        "fabrication: web, container; 8300; mosquitto postgres",
        "safety: web, container; 8400; postgres",
        "voice: web, container; 8500; brain mosquitto",
        "ui: frontend, container; 4173; gateway mosquitto",
        "prometheus: prometheus, container; 9090;",
      ]
    `);
    expect(disabled).toEqual(["grafana", "loki", "images-worker", "images-api"]);
    expect(network?.name).toBe("kitty_default");
    // One image for six applications.
    expect(imageBuilds.map(({ resource }) => resource)).toEqual([
      "image-examples/systems/kitty/app",
      "image-examples/systems/kitty/ui",
    ]);
  });

  it("gives the model servers these flags", () => {
    if ("problems" in loaded) throw new Error("no plan");
    const servers = readable(loaded.plan).services.filter(({ kind }) => kind === "llama-server");
    expect(servers.map(({ argv }) => argv.join(" "))).toMatchInlineSnapshot(`
      [
        "/opt/llama/llama-server --model /Users/Shared/Coding/models/athene-v2-agent/Athene-V2-Agent-Q4_K_M.gguf --alias kitty-q4 --host 127.0.0.1 --port 8083 --ctx-size 16384 --parallel 4 --threads 20 --batch-size 4096 --ubatch-size 1024 --flash-attn on --jinja --n-gpu-layers 999",
        "/opt/llama/llama-server --model /Users/Shared/Coding/models/llama-3.3-70b-instruct/Llama-3.3-70B-Instruct-F16-00001-of-00004.gguf --alias kitty-f16 --host 127.0.0.1 --port 8082 --ctx-size 16384 --parallel 4 --threads 20 --batch-size 4096 --ubatch-size 1024 --flash-attn on --jinja --n-gpu-layers 999",
        "/opt/llama/llama-server --model /Users/Shared/Coding/models/hermes-3-llama-3.1-8b/Hermes-3-Llama-3.1-8B-Q4_K_M.gguf --alias kitty-summary --host 127.0.0.1 --port 8085 --ctx-size 8192 --parallel 2 --threads 12 --batch-size 1024 --n-gpu-layers 999",
        "/opt/llama/llama-server --model /Users/Shared/Coding/models/gemma-3-27b-it-q4_k_m.gguf --alias kitty-vision --host 127.0.0.1 --port 8086 --ctx-size 8192 --parallel 1 --threads 16 --mmproj /Users/Shared/Coding/models/gemma-3-27b-it-GGUF/mmproj-google_gemma-3-27b-it-bf16.gguf --n-gpu-layers 999",
      ]
    `);
  });
});
