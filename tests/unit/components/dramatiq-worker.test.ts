import { describe, expect, it } from "vitest";
import { readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(
    serviceOf(
      {
        services: {
          broker: { kind: "redis" },
          worker: {
            kind: "dramatiq-worker",
            build: "./app",
            module: "app.tasks",
            env: { REDIS_URL: "${broker.url}" },
            ...settings,
          },
        },
      },
      "worker",
    ),
  );

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "dramatiq",
      "app.tasks",
      "--processes",
      "1",
      "--threads",
      "8",
    ],
    "build": {
      "key": "app-aaaaaaaaaaaa",
      "kind": "python",
      "source": "PROJECT/app",
      "target": "CACHE/builds/app-aaaaaaaaaaaa",
    },
    "check": {
      "host": "127.0.0.1",
      "kind": "dramatiq-worker",
      "namespace": "dramatiq",
      "passwordFile": "STACK/services/broker/password",
      "port": 6379,
      "processes": 1,
    },
    "cwd": "CACHE/builds/app-aaaaaaaaaaaa",
    "dataKept": true,
    "directories": [],
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
    "kind": "dramatiq-worker",
    "logFile": "STACK/logs/worker.log",
    "name": "worker",
    "needs": [
      "broker",
    ],
    "outputs": {},
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

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    [
      "processes",
      { processes: 2 },
      { argv: ["dramatiq", "app.tasks", "--processes", "2", "--threads", "8"], check: { processes: 2 } },
    ],
    ["threads", { threads: 1 }, { argv: ["dramatiq", "app.tasks", "--processes", "1", "--threads", "1"] }],
    ["module", { module: "app:broker" }, { argv: ["dramatiq", "app:broker", "--processes", "1", "--threads", "8"] }],
    [
      "queues",
      { queues: ["a", "b"] },
      { argv: ["dramatiq", "app.tasks", "--processes", "1", "--threads", "8", "--queues", "a", "b"] },
    ],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});
