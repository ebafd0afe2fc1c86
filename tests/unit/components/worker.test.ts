import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object, broker: object = {}) => ({
  services: {
    broker: { kind: "redis", ...broker },
    poller: {
      kind: "worker",
      build: "./app",
      queue: "transcribe@gpu",
      command: ["python", "poller.py", "${self.queue}"],
      ready: { command: ["python", "poller.py", "${self.queue}", "--check"] },
      env: { REDIS_URL: "${broker.url}" },
      ...settings,
    },
  },
});

const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "poller"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "python",
      "poller.py",
      "transcribe@gpu",
    ],
    "build": {
      "key": "app-aaaaaaaaaaaa",
      "kind": "python",
      "source": "PROJECT/app",
      "target": "CACHE/builds/app-aaaaaaaaaaaa",
    },
    "check": {
      "argv": [
        "python",
        "poller.py",
        "transcribe@gpu",
        "--check",
      ],
      "kind": "command",
    },
    "cwd": "CACHE/builds/app-aaaaaaaaaaaa",
    "dataKept": true,
    "directories": [],
    "drains": true,
    "env": {
      "REDIS_URL": [
        "redis://:",
        {
          "as": "url",
          "secret": "broker.password",
        },
        "@127.0.0.1:6379/0",
      ],
    },
    "files": [],
    "gates": [
      {
        "port": {
          "host": "127.0.0.1",
          "port": 6379,
        },
      },
    ],
    "generates": [],
    "in": "host",
    "kind": "worker",
    "logFile": "STACK/logs/poller.log",
    "name": "poller",
    "needs": [
      "broker",
    ],
    "outputs": {
      "queue": [
        "transcribe@gpu",
      ],
    },
    "ports": [],
    "readyTimeoutMs": 60000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 60000,
    "stopSignal": "TERM",
    "tools": [],
  }
`));

it("has this container", () =>
  expect(containerOf(raw({}), "poller")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/run/engineroom": "CONTAINERS/poller/private/files",
    },
    "capabilities": [],
    "check": {
      "argv": [
        "python",
        "poller.py",
        "transcribe@gpu",
        "--check",
      ],
      "kind": "command",
    },
    "command": [
      "python",
      "poller.py",
      "transcribe@gpu",
    ],
    "entrypoint": [
      "/bin/sh",
      "/run/engineroom/entry.sh",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=poller",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/poller/private/files",
      "env": {
        "REDIS_URL": [
          "redis://:",
          {
            "as": "url",
            "secret": "broker.password",
          },
          "@broker:6379/0",
        ],
      },
      "files": [
        {
          "content": [
            "#!/bin/sh
  . /run/engineroom/env.sh
  exec "$@"
  ",
          ],
          "mode": "0444",
          "path": "entry.sh",
        },
      ],
      "home": "CONTAINERS/poller",
      "service": "poller",
    },
    "hosts": {},
    "image": "engineroom-lab-test/app:HASH",
    "memoryMiB": 1024,
    "name": "test-poller",
    "ports": [],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "poller",
    "stopGraceSeconds": 60,
    "stopSignal": "SIGTERM",
    "user": "10001:10001",
    "volumes": [],
    "workingDir": "/app",
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["ready.timeout", { ready: { timeout: "5m", command: ["true"] } }, { readyTimeoutMs: 300_000 }],
    [
      "queue",
      { queue: "transcribe" },
      { argv: ["python", "poller.py", "transcribe"], outputs: { queue: ["transcribe"] } },
    ],
    ["the signal to drain with", { stopSignal: "INT", stopGrace: "5m" }, { stopSignal: "INT", stopGraceMs: 300_000 }],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it("needs a command that tells whether it polls", () =>
  expect(problemsOf(raw({ ready: {} })).map(({ code, where }) => [code, where])).toEqual([
    ["STACK_VALUE", "services.poller.ready.command"],
  ]));

it("without a queue offers none", () =>
  expect(plan({ queue: undefined, command: ["a"], ready: { command: ["b"] } }).outputs).toEqual({}));
