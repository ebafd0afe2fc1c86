import { describe, expect, it } from "vitest";
import { containerOf, readable, serviceOf } from "#tests/support/stack.ts";

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
      "--processes",
      "1",
      "--threads",
      "8",
      "app.tasks",
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
    "consumes": {
      "broker": "broker",
      "processes": 3,
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
      {
        argv: ["dramatiq", "--processes", "2", "--threads", "8", "app.tasks"],
        check: { processes: 2 },
        consumes: { processes: 4 },
      },
    ],
    ["threads", { threads: 1 }, { argv: ["dramatiq", "--processes", "1", "--threads", "1", "app.tasks"] }],
    [
      "verbose",
      { verbose: true },
      { argv: ["dramatiq", "--processes", "1", "--threads", "8", "app.tasks", "--verbose"] },
    ],
    ["module", { module: "app:broker" }, { argv: ["dramatiq", "--processes", "1", "--threads", "8", "app:broker"] }],
    [
      "queues",
      { queues: ["a", "b"] },
      { argv: ["dramatiq", "--processes", "1", "--threads", "8", "app.tasks", "--queues", "a", "b"] },
    ],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

describe("in a container", () => {
  const contained = (settings: object = {}, broker: object = {}) =>
    containerOf(
      {
        services: {
          broker: { kind: "redis", ...broker },
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
    );

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/worker/private/files",
      },
      "capabilities": [],
      "check": {
        "host": "127.0.0.1",
        "kind": "dramatiq-worker",
        "namespace": "dramatiq",
        "passwordFile": "CONTAINERS/broker/private/files/password",
        "port": 6379,
        "processes": 1,
        "worker": {
          "isDirect": true,
          "port": 6379,
        },
      },
      "command": [
        "dramatiq",
        "--processes",
        "1",
        "--threads",
        "8",
        "app.tasks",
      ],
      "entrypoint": [
        "/bin/sh",
        "/run/engineroom/entry.sh",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=worker",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/worker/private/files",
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
        "home": "CONTAINERS/worker",
        "service": "worker",
      },
      "hosts": {},
      "image": "engineroom-lab-test/app:HASH",
      "memoryMiB": 1024,
      "name": "test-worker",
      "ports": [],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "worker",
      "stopGraceSeconds": 60,
      "stopSignal": "SIGTERM",
      "user": "10001:10001",
      "volumes": [],
      "workingDir": "/app",
    }
  `));

  it("has room for each process", () => expect(contained({ processes: 3 }).memoryMiB).toBe(3 * 1024));
  it("is known by its connections to the relay where the broker is on the host", () =>
    expect(contained({}, { in: "host" }).check).toMatchObject({ port: 6379, worker: { port: 6379, isDirect: false } }));
});

it("on the host is known by its connections to the engine's proxy where the broker is a container", () =>
  expect(
    serviceOf(
      {
        settings: { portOffset: 500 },
        services: {
          broker: { kind: "redis", in: "container" },
          worker: { kind: "dramatiq-worker", build: "./app", module: "app.tasks", env: { URL: "${broker.url}" } },
        },
      },
      "worker",
    ).check,
  ).toMatchObject({ port: 6879, worker: { port: 6879, isDirect: false } }));
