import { describe, expect, it } from "vitest";
import { containerOf, context, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(
    serviceOf(
      {
        models: {
          gemma: { file: "gemma.gguf" },
          vision: { file: "/m/v.gguf", mmproj: "p.gguf", sha256: "a".repeat(64) },
        },
        services: { chat: { kind: "llama-server", model: "gemma", ...settings } },
      },
      "chat",
    ),
  );
const argv = (settings: object) => plan(settings).argv.join(" ");

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/llama/llama-server",
      "--model",
      "CACHE/models/gemma.gguf",
      "--alias",
      "gemma",
      "--host",
      "127.0.0.1",
      "--port",
      "8081",
      "--ctx-size",
      "4096",
      "--parallel",
      "1",
    ],
    "check": {
      "alias": "gemma",
      "contextSize": 4096,
      "kind": "llama-server",
      "url": "http://127.0.0.1:8081",
    },
    "cwd": "STACK/services/chat",
    "dataKept": true,
    "directories": [],
    "env": {},
    "files": [],
    "gates": [],
    "generates": [],
    "in": "host",
    "kind": "llama-server",
    "logFile": "STACK/logs/chat.log",
    "model": {
      "bytes": 0,
      "missing": "fail",
      "name": "gemma",
      "path": "CACHE/models/gemma.gguf",
      "stableSeconds": 2,
      "waitSeconds": 3600,
    },
    "name": "chat",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "port": [
        "8081",
      ],
      "url": [
        "http://127.0.0.1:8081",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 8081,
      },
    ],
    "readyTimeoutMs": 300000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 30000,
    "stopSignal": "TERM",
    "tools": [
      "llama-server",
    ],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["port", { port: 9000 }, { ports: [{ host: "127.0.0.1", port: 9000 }], check: { url: "http://127.0.0.1:9000" } }],
    [
      "model",
      { model: "vision" },
      {
        model: { name: "vision", path: "/m/v.gguf", sha256: "a".repeat(64), mmproj: "CACHE/models/p.gguf" },
        check: { alias: "vision" },
      },
    ],
    ["contextSize", { contextSize: 512 }, { check: { contextSize: 512 } }],
    [
      "chatTemplate",
      { chatTemplate: "{{ x }}" },
      { files: [{ path: "chat-template.jinja", mode: "0600", content: ["{{ x }}"] }] },
    ],
    ["alias", { alias: "org/chat:1" }, { check: { alias: "org/chat:1" } }],
    ["embeddings", { embeddings: true }, { check: { embeddings: true } }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

describe("an argument follows", () => {
  it.each<[string, object, string]>([
    ["port", { port: 9000 }, "--host 127.0.0.1 --port 9000 "],
    ["model", { model: "vision" }, "--model /m/v.gguf --alias vision "],
    ["mmproj", { model: "vision" }, "--mmproj CACHE/models/p.gguf"],
    ["contextSize", { contextSize: 512 }, "--ctx-size 512 --parallel 1"],
    ["parallel", { parallel: 4 }, "--ctx-size 4096 --parallel 4"],
    ["threads", { threads: 3 }, "--threads 3"],
    ["gpu", { gpu: "all" }, "--n-gpu-layers 999 --log-verbosity 4"],
    ["gpuLayers", { gpu: "all", gpuLayers: 20 }, "--n-gpu-layers 20 --log-verbosity 4"],
    ["gpuLayers without a GPU", { gpuLayers: 0 }, "--n-gpu-layers 0"],
    ["chatTemplate", { chatTemplate: "x" }, "--chat-template-file STACK/services/chat/chat-template.jinja"],
    ["alias", { alias: "org/chat:1" }, "--alias org/chat:1 --host"],
    ["batchSize", { batchSize: 256 }, "--batch-size 256"],
    ["ubatchSize", { ubatchSize: 128 }, "--ubatch-size 128"],
    ["flashAttention", { flashAttention: "auto" }, "--flash-attn auto"],
    ["flashAttention, as YAML 1.1 reads off", { flashAttention: false }, "--flash-attn off"],
    ["cacheTypeK", { cacheTypeK: "q8_0" }, "--cache-type-k q8_0"],
    ["cacheTypeV", { cacheTypeV: "q4_0" }, "--cache-type-v q4_0"],
    ["embeddings", { embeddings: true }, " --embeddings"],
    ["jinja", { jinja: true }, " --jinja"],
    ["no jinja", { jinja: false }, " --no-jinja"],
    [
      "args, after all others",
      { args: ["--n-gpu-layers", 999, "--no-warmup"] },
      "--parallel 1 --n-gpu-layers 999 --no-warmup",
    ],
  ])("%s", (_setting, settings, part) => expect(argv(settings)).toContain(part));

  it("threads are the server's own choice where nobody says", () => expect(argv({})).not.toContain("--threads"));
});

describe("refuses in args what another key decides:", () => {
  const problems = (args: readonly unknown[]) =>
    problemsOf({
      models: { gemma: { file: "gemma.gguf" } },
      services: { chat: { kind: "llama-server", model: "gemma", args } },
    });

  it.each([
    ["--port", "port"],
    ["-c", "contextSize"],
    ["--ctx_size", "contextSize"],
    ["-np", "parallel"],
    ["-hf", "model"],
    ["--embedding", "embeddings"],
    ["--mmproj", "mmproj of the model"],
    ["--host", "engineroom, which binds loopback: kind nginx opens it to others"],
  ])("%s", (flag, by) =>
    expect(problems(["--verbose", flag, "1"])).toEqual([
      {
        code: "FLAG_OWNED",
        where: "services.chat.args",
        expected: "flags that nothing else of the stack file decides",
        got: `\`${flag}\``,
        fix: `${flag} is decided by ${by}`,
      },
    ]),
  );

  it("all of them at once", () =>
    expect(problems(["-m", "x", "--alias", "y"])).toMatchObject([
      { got: "`-m`, `--alias`", fix: "-m is decided by model; --alias is decided by alias" },
    ]));

  it("and takes values that look like flags only at first", () => expect(problems(["--seed", "-1"])).toEqual([]));

  it("an alias with a comma, which the server would divide", () =>
    expect(
      problemsOf({
        models: { gemma: { file: "gemma.gguf" } },
        services: { chat: { kind: "llama-server", model: "gemma", alias: "a,b", flashAttention: "yes" } },
      }).map(({ where, expected }) => [where, expected]),
    ).toEqual([
      ["services.chat.alias", "a name without commas and spaces, a letter or digit first"],
      ["services.chat.flashAttention", "on, off or auto"],
    ]));
});

describe("on a GPU", () => {
  const uuid = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a";

  it("it is kept to its cards, and says what it loads and what is to be proven", () =>
    expect(
      plan({ gpu: { uuids: [uuid] }, gpuLayers: 20, parallel: 2, cacheTypeK: "q8_0", ubatchSize: 64 }),
    ).toMatchObject({
      env: { CUDA_DEVICE_ORDER: ["PCI_BUS_ID"], CUDA_VISIBLE_DEVICES: [uuid] },
      gpu: { devices: [uuid], required: true },
      loads: {
        models: [
          { name: "gemma", layers: 20, contextSize: 4096, parallel: 2, cacheTypes: ["q8_0", "f16"], ubatchSize: 64 },
        ],
        atOnce: 1,
      },
      check: { gpu: { required: true, layers: 20 } },
    }));

  it("without layers nothing is to be proven", () =>
    expect(plan({ gpu: "all", gpuLayers: 0 }).check).not.toHaveProperty("gpu"));

  const refused = (settings: object) =>
    problemsOf({
      models: { gemma: { file: "gemma.gguf" } },
      services: { chat: { kind: "llama-server", model: "gemma", ...settings } },
    }).map(({ code, where, expected, got, fix }) => `${where}: expected ${expected}, got ${got}. ${fix} [${code}]`);
  const forms = "`all`, `{ count: 1 }` or `{ uuids: [GPU-…] }`, with `required: false` where the CPU will do";
  it.each<[string, object, string]>([
    [
      "layers alone",
      { gpuLayers: 20 },
      "services.chat.gpuLayers: expected `gpu` beside it, which says on which cards, got none. set services.chat.gpu, such as { count: 1 } [GPU_UNDECLARED]",
    ],
    [
      "a word",
      { gpu: "one" },
      `services.chat.gpu: expected ${forms}, got \`"one"\`. correct services.chat.gpu [STACK_VALUE]`,
    ],
    [
      "no number of cards",
      { gpu: { count: 0 } },
      "services.chat.gpu.count: expected at least 1, got `0`. correct services.chat.gpu.count [STACK_VALUE]",
    ],
    [
      "no UUID",
      { gpu: { uuids: ["0"] } },
      'services.chat.gpu.uuids.0: expected a UUID as `nvidia-smi -L` prints it, `GPU-…`, got `"0"`. correct services.chat.gpu.uuids.0 [STACK_VALUE]',
    ],
    [
      "both forms",
      { gpu: { count: 1, uuids: [uuid] } },
      "services.chat.gpu.uuids: expected one of count, required, got `uuids`. remove it [STACK_KEY]",
    ],
  ])("%s is refused", (_what, settings, line) => expect(refused(settings)).toEqual([line]));

  const imageOf = (gpu: object, source: "registry" | "packages") => {
    const images = { source, references: { "llama-server": "llama:1", "llama-server-cuda": "cuda:1" } };
    const services = { chat: { kind: "llama-server", model: "gemma", gpu } };
    return containerOf({ models: { gemma: { file: "gemma.gguf" } }, services }, "chat", { ...context, images }).image;
  };
  it("takes an image for CUDA; where none can be had, one for the CPU if that will do", () =>
    expect([
      imageOf({ count: 1 }, "registry"),
      imageOf({ count: 1 }, "packages"),
      imageOf({ count: 1, required: false }, "registry"),
      imageOf({ count: 1, required: false }, "packages"),
    ]).toEqual(["cuda:1", "cuda:1", "cuda:1", "llama:1"]));
});

describe("in a container", () => {
  const contained = (settings: object = {}, bytes = 0) =>
    containerOf(
      {
        models: { gemma: { file: "sub/gemma.gguf" }, vision: { file: "/m/v.gguf", mmproj: "/p/p.gguf" } },
        services: { chat: { kind: "llama-server", model: "gemma", ...settings } },
      },
      "chat",
      { ...context, bytesOf: () => bytes },
    );

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/models": "CACHE/models/sub",
      },
      "capabilities": [],
      "check": {
        "alias": "gemma",
        "contextSize": 4096,
        "kind": "llama-server",
        "url": "http://127.0.0.1:8081",
      },
      "command": [
        "--model",
        "/models/gemma.gguf",
        "--alias",
        "gemma",
        "--host",
        "0.0.0.0",
        "--port",
        "8081",
        "--ctx-size",
        "4096",
        "--parallel",
        "1",
      ],
      "entrypoint": [
        "/app/llama-server",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=chat",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "hosts": {},
      "image": "llama:1",
      "memoryMiB": 2335,
      "name": "test-chat",
      "ports": [
        {
          "external": 8081,
          "internal": 8081,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "chat",
      "stopGraceSeconds": 30,
      "stopSignal": "SIGTERM",
      "user": "1000:1000",
      "volumes": [],
    }
  `));

  it("has the directory of a projector, too", () => {
    const { binds, command } = contained({ model: "vision" });
    expect(binds).toEqual({ "/models": "/m", "/mmproj": "/p" });
    expect(command.join(" ")).toMatch(/^--model \/models\/v\.gguf .* --mmproj \/mmproj\/p\.gguf$/);
  });

  it("has its template among its files", () => {
    const { binds, command, files } = contained({ chatTemplate: "{{ x }}" });
    expect(binds["/run/engineroom"]).toBe("CONTAINERS/chat/private/files");
    expect(command.slice(-2)).toEqual(["--chat-template-file", "/run/engineroom/chat-template.jinja"]);
    expect(files?.files).toEqual([{ path: "chat-template.jinja", mode: "0600", content: ["{{ x }}"] }]);
  });

  it.each([
    ["of an empty model: the server and 4096 tokens", 4096, 0, Math.ceil(4096 * 0.32 + 1024)],
    ["of 10 GiB: a fifth more than the weights", 4096, 10 * 2 ** 30, Math.ceil(1.2 * 10 * 1024 + 4096 * 0.32 + 1024)],
    ["of a long context", 100_000, 0, 33_024],
  ])("has room %s", (_what, contextSize, bytes, mebibytes) =>
    expect(contained({ contextSize }, bytes).memoryMiB).toBe(mebibytes),
  );

  it("runs as the account that may read the models", () => expect(contained().user).toBe(context.accountIds));
});
