import { describe, expect, it } from "vitest";
import { containerSpec } from "#runtime/container-spec.ts";
import { context, planOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";
import type { RawStack } from "#stack/load.ts";

const stack = (settings: object = {}): RawStack => ({
  models: {
    gemma: { file: "gemma.gguf" },
    vision: { file: "/m/v.gguf", mmproj: "p.gguf", sha256: "a".repeat(64) },
    huge: { file: "huge-00001-of-00003.gguf" },
  },
  services: { llm: { kind: "ollama", ...settings } },
});
const plan = (settings: object = {}) => readable(serviceOf(stack(settings), "llm"));
const contained = (settings: object = {}) => {
  const whole = planOf(stack({ in: "container", ...settings }));
  return readable(containerSpec(whole.services[0]!, whole)!);
};

it("has this plan", () =>
  expect(plan({ models: ["gemma2:2b", { from: "gemma" }] })).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/ollama/bin/ollama",
      "serve",
    ],
    "check": {
      "kind": "ollama",
      "models": [
        "gemma2:2b",
        "gemma:latest",
      ],
      "url": "http://127.0.0.1:11434",
    },
    "cwd": "STACK/services/llm",
    "dataKept": true,
    "directories": [
      "STACK/data/llm",
    ],
    "env": {
      "HOME": [
        "STACK/data/llm",
      ],
      "OLLAMA_CONTEXT_LENGTH": [
        "4096",
      ],
      "OLLAMA_HOST": [
        "127.0.0.1:11434",
      ],
      "OLLAMA_KEEP_ALIVE": [
        "300000ms",
      ],
      "OLLAMA_KV_CACHE_TYPE": [
        "f16",
      ],
      "OLLAMA_MODELS": [
        "STACK/data/llm/models",
      ],
      "OLLAMA_NO_CLOUD": [
        "1",
      ],
      "OLLAMA_NUM_PARALLEL": [
        "1",
      ],
    },
    "files": [],
    "gates": [],
    "generates": [],
    "in": "host",
    "kind": "ollama",
    "logFile": "STACK/logs/llm.log",
    "name": "llm",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "port": [
        "11434",
      ],
      "url": [
        "http://127.0.0.1:11434",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 11434,
      },
    ],
    "readyTimeoutMs": 300000,
    "required": true,
    "restart": "always",
    "run": "service",
    "serves": [
      {
        "name": "gemma2:2b",
      },
      {
        "file": {
          "bytes": 0,
          "missing": "fail",
          "name": "gemma",
          "path": "CACHE/models/gemma.gguf",
          "stableSeconds": 2,
          "waitSeconds": 3600,
        },
        "name": "gemma:latest",
      },
    ],
    "stopGraceMs": 30000,
    "stopSignal": "TERM",
    "tools": [
      "ollama",
    ],
  }
`));

it("is this container", () =>
  expect(contained({ models: [{ from: "gemma" }] })).toMatchInlineSnapshot(`
  {
    "binds": {},
    "capabilities": [],
    "command": [
      "serve",
    ],
    "entrypoint": [
      "/bin/ollama",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=llm",
      "ENGINEROOM_STACK=test",
      "HOME=/root",
      "LANG=C.UTF-8",
      "OLLAMA_CONTEXT_LENGTH=4096",
      "OLLAMA_HOST=0.0.0.0:11434",
      "OLLAMA_KEEP_ALIVE=300000ms",
      "OLLAMA_KV_CACHE_TYPE=f16",
      "OLLAMA_MODELS=/root/.ollama/models",
      "OLLAMA_NO_CLOUD=1",
      "OLLAMA_NUM_PARALLEL=1",
      "PYTHONUNBUFFERED=1",
    ],
    "hosts": {},
    "image": "ollama:0",
    "labels": {
      "engineroom.owner": "lab/test",
      "engineroom.project": "PROJECT",
      "engineroom.service": "llm",
      "engineroom.stack": "test",
    },
    "memoryMiB": 9094,
    "name": "test-llm",
    "ports": [
      {
        "external": 11434,
        "internal": 11434,
        "ip": "127.0.0.1",
      },
    ],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "llm",
    "stopGraceSeconds": 30,
    "stopSignal": "SIGTERM",
    "user": "0:0",
    "volumes": [
      {
        "kept": true,
        "name": "test-llm",
        "target": "/root/.ollama",
      },
    ],
  }
`));

describe("a setting changes a variable", () => {
  it.each<[string, object, object]>([
    ["port", { port: 9000 }, { OLLAMA_HOST: ["127.0.0.1:9000"] }],
    ["keepAlive", { keepAlive: "90s" }, { OLLAMA_KEEP_ALIVE: ["90000ms"] }],
    ["keepAlive for ever", { keepAlive: "forever" }, { OLLAMA_KEEP_ALIVE: ["-1"] }],
    ["contextLength", { contextLength: 512 }, { OLLAMA_CONTEXT_LENGTH: ["512"] }],
    ["numParallel", { numParallel: 4 }, { OLLAMA_NUM_PARALLEL: ["4"] }],
    ["maxLoadedModels", { maxLoadedModels: 2 }, { OLLAMA_MAX_LOADED_MODELS: ["2"] }],
    ["flashAttention", { flashAttention: true }, { OLLAMA_FLASH_ATTENTION: ["1"] }],
    ["flashAttention off", { flashAttention: false }, { OLLAMA_FLASH_ATTENTION: ["0"] }],
    [
      "kvCacheType, which needs flash attention",
      { kvCacheType: "q8_0" },
      { OLLAMA_KV_CACHE_TYPE: ["q8_0"], OLLAMA_FLASH_ATTENTION: ["1"] },
    ],
    ["env, which wins", { env: { OLLAMA_NO_CLOUD: "0" } }, { OLLAMA_NO_CLOUD: ["0"] }],
  ])("%s", (_what, settings, env) => expect(plan(settings).env).toMatchObject(env));

  it("what is left open is Ollama's own choice", () =>
    expect(Object.keys(plan().env).filter((name) => /MAX_LOADED|FLASH/.test(name))).toEqual([]));
});

describe("a model", () => {
  it.each<[unknown, object]>([
    ["gemma2:2b", { name: "gemma2:2b" }],
    ["llama3.2", { name: "llama3.2:latest" }],
    ["hf.co/me/model-GGUF:Q4_K_M", { name: "hf.co/me/model-GGUF:Q4_K_M" }],
    ["http://127.0.0.1:5000/library/x", { name: "http://127.0.0.1:5000/library/x:latest" }],
    [{ from: "gemma" }, { name: "gemma:latest", file: { path: "CACHE/models/gemma.gguf" } }],
    [{ from: "gemma", name: "small:v1" }, { name: "small:v1" }],
    [
      { from: "gemma", template: "{{ .Prompt }}", system: "Be brief." },
      { template: "{{ .Prompt }}", system: "Be brief." },
    ],
    [{ from: "vision" }, { file: { path: "/m/v.gguf", mmproj: "CACHE/models/p.gguf", sha256: "a".repeat(64) } }],
  ])("%j", (model, served) => {
    const { serves, check } = plan({ models: [model] });
    expect(serves).toMatchObject([served]);
    expect(check).toEqual({ kind: "ollama", url: "http://127.0.0.1:11434", models: [serves![0]!.name] });
  });

  it.each<[string, readonly unknown[], string]>([
    [
      "nobody declared",
      [{ from: "gema" }],
      "services.llm.models.0.from: expected a model of engineroom:models (gemma, vision, huge), got `gema`. did you mean `gemma`?",
    ],
    [
      "in several parts",
      [{ from: "huge" }],
      "services.llm.models.0.from: expected a model in one file: Ollama takes no other, got `huge`, which is in 3 parts. join them with llama-gguf-split --merge, or serve it with kind: llama-server",
    ],
    [
      "twice",
      ["gemma", { from: "gemma" }],
      "services.llm.models.1: expected each model once, got `gemma:latest` again. remove one of them, or give one another `name`",
    ],
    [
      "of an impossible name",
      ["two words"],
      'services.llm.models.0: expected a model\'s name, such as `gemma2:2b`, or `{ from: NAME }` with a name of engineroom:models, got `"two words"`. correct services.llm.models.0',
    ],
    [
      "with a key too many",
      [{ from: "gemma", nam: "x" }],
      "services.llm.models.0.nam: expected one of from, name, template, system, got `nam`. did you mean `name`?",
    ],
  ])("%s is refused", (_what, models, line) =>
    expect(
      problemsOf(stack({ models })).map(
        ({ where, expected, got, fix }) => `${where}: expected ${expected}, got ${got}. ${fix}`,
      ),
    ).toEqual([line]),
  );
});

it("on a GPU says what it loads and what is to be proven", () =>
  expect(
    plan({ gpu: { count: 1, required: false }, models: [{ from: "gemma" }, "x"], numParallel: 2, kvCacheType: "q8_0" }),
  ).toMatchObject({
    env: { CUDA_VISIBLE_DEVICES: ["0"] },
    gpu: { devices: ["0"], required: false },
    loads: {
      models: [
        {
          name: "gemma:latest",
          file: { name: "gemma" },
          layers: "all",
          contextSize: 8192,
          parallel: 2,
          cacheTypes: ["q8_0", "q8_0"],
        },
        { name: "x:latest", layers: "all", contextSize: 8192, parallel: 2, cacheTypes: ["q8_0", "q8_0"] },
      ],
      atOnce: 3,
    },
    check: { gpu: { required: false } },
  }));

describe("the memory of its container", () => {
  const memory = (settings: object, bytes = 0) => {
    const where = { ...context, bytesOf: () => bytes };
    return planOf(stack({ in: "container", ...settings }), where).services[0]!.memoryBytes! / 2 ** 20;
  };
  it.each<[string, object, number, number]>([
    ["is for itself where it has no models", {}, 0, 1024],
    ["is the weights and the cache", { models: [{ from: "gemma" }] }, 1000 * 2 ** 20, 1024 + 1200 + 1311],
    [
      "grows with each request at a time",
      { models: [{ from: "gemma" }], numParallel: 2 },
      1000 * 2 ** 20,
      1024 + 1200 + 2622,
    ],
    ["is guessed for a model that is pulled", { models: ["x"] }, 0, 1024 + 6759 + 1311],
    ["counts as many as are loaded", { models: ["x", "y"], maxLoadedModels: 1 }, 0, 1024 + 6759 + 1311],
    ["is what the stack file says", { memory: "3GiB" }, 0, 3072],
  ])("%s", (_what, settings, bytes, mebibytes) => expect(memory(settings, bytes)).toBe(mebibytes));
});
