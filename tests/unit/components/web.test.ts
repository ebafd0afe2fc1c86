import { describe, expect, it } from "vitest";
import { readable, serviceOf } from "#tests/support/stack.ts";

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
