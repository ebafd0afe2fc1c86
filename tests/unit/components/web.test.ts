import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(
    serviceOf(
      { services: { api: { kind: "web", build: "./app", command: ["serve", "${self.port}", "$${x}"], ...settings } } },
      "api",
    ),
  );

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "serve",
      "8000",
      "\${x}",
    ],
    "build": {
      "key": "app-aaaaaaaaaaaa",
      "kind": "python",
      "source": "PROJECT/app",
      "target": "CACHE/builds/app-aaaaaaaaaaaa",
    },
    "check": {
      "kind": "http",
      "url": "http://127.0.0.1:8000/health",
    },
    "cwd": "CACHE/builds/app-aaaaaaaaaaaa",
    "dataKept": true,
    "directories": [],
    "env": {},
    "files": [],
    "gates": [],
    "generates": [],
    "in": "host",
    "kind": "web",
    "logFile": "STACK/logs/api.log",
    "name": "api",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "listen": [
        "127.0.0.1",
      ],
      "port": [
        "8000",
      ],
      "url": [
        "http://127.0.0.1:8000",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 8000,
      },
    ],
    "readyTimeoutMs": 60000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 10000,
    "stopSignal": "TERM",
    "tools": [],
  }
`));

describe("dev", () => {
  it("runs in the directory itself, with the environment of its requirements", () => {
    const { cwd, build, source } = plan({ dev: true });
    expect({ cwd, build, source }).toEqual({
      cwd: "PROJECT/app",
      build: {
        key: "app-environment-cccccccccccc",
        kind: "environment",
        source: "PROJECT/app",
        target: "CACHE/builds/app-environment-cccccccccccc",
      },
      source: { path: "PROJECT/app" },
    });
  });

  it.each([
    ["beside no build", {}, "none"],
    ["of a directory without requirements.txt", { build: "./pages" }, "`./pages`, which has no such file"],
  ])("%s is a mistake", (_what, more, got) =>
    expect(problemsOf({ services: { api: { kind: "web", command: ["serve"], dev: true, ...more } } })).toEqual([
      expect.objectContaining({ code: "BUILD_SOURCE", where: "services.api.build", got }),
    ]),
  );
});

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    [
      "port",
      { port: 9000 },
      {
        argv: ["serve", "9000", "${x}"],
        ports: [{ host: "127.0.0.1", port: 9000 }],
        check: { url: "http://127.0.0.1:9000/health" },
        outputs: { url: ["http://127.0.0.1:9000"] },
      },
    ],
    ["health", { health: "/ok?x=1" }, { check: { url: "http://127.0.0.1:8000/ok?x=1" } }],
    ["cwd", { cwd: "sub/dir" }, { cwd: "PROJECT/sub/dir" }],
    ["an absolute cwd", { cwd: "/srv" }, { cwd: "/srv" }],
    ["no build", { build: undefined }, { cwd: "STACK/services/api" }],
    ["restart", { restart: "no" }, { restart: "no" }],
    ["required", { required: false }, { required: false }],
    ["memory", { memory: "1GiB" }, { memoryBytes: 2 ** 30 }],
    ["stop", { stopSignal: "INT", stopGrace: "3s" }, { stopSignal: "INT", stopGraceMs: 3000 }],
    [
      "files of other tools",
      { logFile: "a.log", errorLog: "/b.log", pidFile: "c.pid" },
      { logFile: "PROJECT/a.log", errorLog: "/b.log", pidFile: "PROJECT/c.pid" },
    ],
    ["env", { env: { A: "x", N: 5, B: true } }, { env: { A: ["x"], N: ["5"], B: ["true"] } }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

describe("in a container", () => {
  const contained = (settings: object = {}) =>
    containerOf(
      {
        services: {
          api: {
            kind: "web",
            build: "./app",
            command: ["serve", "--host", "${self.listen}", "--port", "${self.port}"],
            ...settings,
          },
        },
      },
      "api",
    );

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {},
      "capabilities": [],
      "check": {
        "kind": "http",
        "url": "http://127.0.0.1:8000/health",
      },
      "command": [
        "--host",
        "0.0.0.0",
        "--port",
        "8000",
      ],
      "entrypoint": [
        "serve",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=api",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "hosts": {},
      "image": "engineroom-lab-test/app:HASH",
      "memoryMiB": 1024,
      "name": "test-api",
      "ports": [
        {
          "external": 8000,
          "internal": 8000,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "api",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "user": "10001:10001",
      "volumes": [],
      "workingDir": "/app",
    }
  `));

  it("of somebody's own image is left what that was made with", () =>
    expect(contained({ build: undefined, image: "ghcr.io/me/app:1" })).toMatchInlineSnapshot(`
      {
        "binds": {},
        "capabilities": [
          "CAP_CHOWN",
          "CAP_DAC_OVERRIDE",
          "CAP_FOWNER",
          "CAP_SETGID",
          "CAP_SETUID",
        ],
        "check": {
          "kind": "http",
          "url": "http://127.0.0.1:8000/health",
        },
        "command": [
          "--host",
          "0.0.0.0",
          "--port",
          "8000",
        ],
        "entrypoint": [
          "serve",
        ],
        "environment": [
          "ENGINEROOM_SERVICE=api",
          "ENGINEROOM_STACK=test",
          "LANG=C.UTF-8",
          "PYTHONUNBUFFERED=1",
        ],
        "hosts": {},
        "image": "ghcr.io/me/app:1",
        "memoryMiB": 1024,
        "name": "test-api",
        "ports": [
          {
            "external": 8000,
            "internal": 8000,
            "ip": "127.0.0.1",
          },
        ],
        "readOnly": false,
        "restart": "unless-stopped",
        "service": "api",
        "stopGraceSeconds": 10,
        "stopSignal": "SIGTERM",
        "volumes": [],
      }
    `));

  it.each<[string, object, object]>([
    ["port", { port: 9000 }, { ports: [{ ip: "127.0.0.1", external: 9000, internal: 9000 }] }],
    ["cwd, below the application", { cwd: "sub" }, { workingDir: "/app/sub" }],
    ["cwd", { cwd: "/srv" }, { workingDir: "/srv" }],
    ["runAs", { runAs: "5:6" }, { user: "5:6" }],
    ["readOnly", { readOnly: false }, { readOnly: false }],
    ["capabilities", { capabilities: ["CAP_NET_RAW"] }, { capabilities: ["CAP_NET_RAW"] }],
    ["memory", { memory: "64MiB" }, { memoryMiB: 64 }],
    ["cpus", { cpus: 1.5 }, { cpus: 1.5 }],
    ["containerName", { containerName: "my-api" }, { name: "my-api" }],
    ["restart", { restart: "on-failure" }, { restart: "on-failure" }],
    ["no restart", { restart: "no" }, { restart: "no" }],
    ["stop", { stopSignal: "INT", stopGrace: "2500ms" }, { stopSignal: "SIGINT", stopGraceSeconds: 3 }],
  ])("a setting changes it: %s", (_what, settings, expected) => expect(contained(settings)).toMatchObject(expected));
});
