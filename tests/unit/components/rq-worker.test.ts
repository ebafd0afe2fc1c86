import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object, broker: object = {}) => ({
  services: {
    broker: { kind: "redis", ...broker },
    jobs: {
      kind: "rq-worker",
      build: "./app",
      queues: ["images"],
      env: { RQ_REDIS_URL: "${broker.url}" },
      ...settings,
    },
  },
});

const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "jobs"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "rq",
      "worker",
      "images",
    ],
    "build": {
      "key": "app-aaaaaaaaaaaa",
      "kind": "python",
      "source": "PROJECT/app",
      "target": "CACHE/builds/app-aaaaaaaaaaaa",
    },
    "check": {
      "database": 0,
      "host": "127.0.0.1",
      "kind": "rq-worker",
      "passwordFile": "STACK/services/broker/password",
      "port": 6379,
      "workers": 1,
    },
    "consumes": {
      "broker": "broker",
      "processes": 2,
    },
    "cwd": "CACHE/builds/app-aaaaaaaaaaaa",
    "dataKept": true,
    "directories": [],
    "drains": true,
    "env": {
      "RQ_REDIS_URL": [
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
    "kind": "rq-worker",
    "logFile": "STACK/logs/jobs.log",
    "name": "jobs",
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

it("has this container", () =>
  expect(containerOf(raw({}), "jobs")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/run/engineroom": "CONTAINERS/jobs/private/files",
    },
    "capabilities": [],
    "check": {
      "database": 0,
      "host": "127.0.0.1",
      "kind": "rq-worker",
      "passwordFile": "CONTAINERS/broker/private/files/password",
      "port": 6379,
      "worker": {
        "isDirect": true,
        "port": 6379,
      },
      "workers": 1,
    },
    "command": [
      "rq",
      "worker",
      "images",
    ],
    "entrypoint": [
      "/bin/sh",
      "/run/engineroom/entry.sh",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=jobs",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/jobs/private/files",
      "env": {
        "RQ_REDIS_URL": [
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
      "home": "CONTAINERS/jobs",
      "service": "jobs",
    },
    "hosts": {},
    "image": "engineroom-lab-test/app:HASH",
    "memoryMiB": 1024,
    "name": "test-jobs",
    "ports": [],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "jobs",
    "stopGraceSeconds": 60,
    "stopSignal": "SIGTERM",
    "user": "10001:10001",
    "volumes": [],
    "workingDir": "/app",
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["queues", { queues: ["high", "low"] }, { argv: ["rq", "worker", "high", "low"] }],
    ["no queue", { queues: undefined }, { argv: ["rq", "worker", "default"] }],
    [
      "withScheduler",
      { withScheduler: true },
      { argv: ["rq", "worker", "--with-scheduler", "images"], consumes: { processes: 3 } },
    ],
    [
      "workers",
      { workers: 3 },
      {
        argv: ["rq", "worker-pool", "--num-workers", "3", "images"],
        check: { workers: 3 },
        consumes: { processes: 8 },
      },
    ],
    [
      "another database",
      { env: { RQ_REDIS_URL: "redis://:${broker.password}@${broker.host}:${broker.port}/3" } },
      { check: { database: 3 } },
    ],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it("its memory in a container is that of a job for each worker", () =>
  expect(containerOf(raw({ workers: 3 }), "jobs")).toMatchObject({ memoryMiB: 3 * 1024 }));

it("takes no other variable for the broker's: RQ would go to whatever listens on 6379", () =>
  expect(problemsOf(raw({ env: { REDIS_URL: "${broker.url}" } }))).toEqual([
    {
      code: "WORKER_WITHOUT_BROKER",
      where: "services.jobs.env",
      expected: "a variable that refers to the worker's redis service",
      got: "none",
      fix: 'add env: { RQ_REDIS_URL: "${broker.url}" } with the name of your redis service',
    },
  ]));

describe("the broker of several redis services is", () => {
  const services = (env: object, role = "broker") => ({
    services: {
      ...raw({ env }, { role }).services,
      cache: { kind: "redis", role: "cache", port: 7000 },
      spare: { kind: "redis", port: 7001 },
    },
  });

  it("the one in its variable", () =>
    expect(
      serviceOf(services({ A: "${cache.url}", RQ_REDIS_URL: "${spare.url}", Z: "${broker.url}" }), "jobs").check,
    ).toMatchObject({ port: 7001 }));

  it("never one that drops what waits", () =>
    expect(problemsOf(services({ RQ_REDIS_URL: "${cache.url}", Z: "${broker.url}" }))).toEqual([
      {
        code: "BROKER_EVICTS",
        where: "services.cache.role",
        expected: "`broker`, since jobs takes its work from it",
        got: "`cache`, which drops what is used least, waiting tasks too, and keeps nothing on disk",
        fix: "set services.cache.role to broker; a cache is another service",
      },
    ]));

  it("with one password for several, the one whose address stands there", () => {
    const password = "${secret.shared}";
    const stack = {
      secrets: { shared: { env: "SHARED" } },
      services: {
        broker: { kind: "redis", password },
        spare: { kind: "redis", port: 7001, password },
        jobs: raw({ env: { A: "${broker.url}", RQ_REDIS_URL: "${spare.url}" } }).services.jobs,
      },
    };
    expect(serviceOf(stack, "jobs").check).toMatchObject({ port: 7001 });
  });
});
