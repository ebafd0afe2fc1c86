import { describe, expect, it } from "vitest";
import { readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(serviceOf({ services: { tick: { kind: "process", command: ["tick"], ...settings } } }, "tick"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "tick",
    ],
    "check": {
      "kind": "alive",
      "seconds": 1,
    },
    "cwd": "STACK/services/tick",
    "dataKept": true,
    "directories": [],
    "env": {},
    "files": [],
    "gates": [],
    "generates": [],
    "in": "host",
    "kind": "process",
    "logFile": "STACK/logs/tick.log",
    "name": "tick",
    "needs": [],
    "outputs": {},
    "ports": [],
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
      { port: 7000 },
      {
        ports: [{ host: "127.0.0.1", port: 7000 }],
        check: { kind: "tcp", host: "127.0.0.1", port: 7000 },
        outputs: { url: ["http://127.0.0.1:7000"] },
      },
    ],
    ["health", { port: 7000, health: "/ok" }, { check: { kind: "http", url: "http://127.0.0.1:7000/ok" } }],
    ["build", { build: "./app" }, { cwd: "CACHE/builds/app-aaaaaaaaaaaa", build: { kind: "python" } }],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});
