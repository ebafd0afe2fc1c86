import { describe, expect, it } from "vitest";
import { containerOf, readable, serviceOf } from "#tests/support/stack.ts";

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

describe("in a container", () => {
  const contained = (settings: object = {}) =>
    containerOf(
      { services: { tick: { kind: "process", image: "alpine:3", command: ["tick", "-a"], ...settings } } },
      "tick",
    );

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
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
        "kind": "alive",
        "seconds": 1,
      },
      "command": [
        "-a",
      ],
      "entrypoint": [
        "tick",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=tick",
        "ENGINEROOM_STACK=test",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "hosts": {},
      "image": "alpine:3",
      "memoryMiB": 1024,
      "name": "test-tick",
      "ports": [],
      "readOnly": false,
      "restart": "unless-stopped",
      "service": "tick",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "volumes": [],
    }
  `));

  it("is published with a port", () =>
    expect(contained({ port: 7000 })).toMatchObject({
      ports: [{ ip: "127.0.0.1", external: 7000, internal: 7000 }],
      check: { kind: "tcp", host: "127.0.0.1", port: 7000 },
    }));
});
