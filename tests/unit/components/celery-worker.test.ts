import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object, broker: object = {}) => ({
  services: {
    broker: { kind: "redis", ...broker },
    tasks: {
      kind: "celery-worker",
      build: "./app",
      app: "app.tasks",
      env: { CELERY_BROKER_URL: "${broker.url}" },
      ...settings,
    },
  },
});

const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "tasks"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "celery",
      "-A",
      "app.tasks",
      "worker",
      "-n",
      "tasks@test",
      "-P",
      "prefork",
      "-c",
      "1",
      "-l",
      "INFO",
    ],
    "build": {
      "key": "app-aaaaaaaaaaaa",
      "kind": "python",
      "source": "PROJECT/app",
      "target": "CACHE/builds/app-aaaaaaaaaaaa",
    },
    "check": {
      "heartbeat": true,
      "host": "127.0.0.1",
      "kind": "celery-worker",
      "nodename": "tasks@test",
      "passwordFile": "STACK/services/broker/password",
      "port": 6379,
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
      "CELERY_BROKER_URL": [
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
    "kind": "celery-worker",
    "logFile": "STACK/logs/tasks.log",
    "name": "tasks",
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
  expect(containerOf(raw({}), "tasks")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/run/engineroom": "CONTAINERS/tasks/private/files",
    },
    "capabilities": [],
    "check": {
      "heartbeat": true,
      "host": "127.0.0.1",
      "kind": "celery-worker",
      "nodename": "tasks@test",
      "passwordFile": "CONTAINERS/broker/private/files/password",
      "port": 6379,
      "worker": {
        "isDirect": true,
        "port": 6379,
      },
    },
    "command": [
      "celery",
      "-A",
      "app.tasks",
      "worker",
      "-n",
      "tasks@test",
      "-P",
      "prefork",
      "-c",
      "1",
      "-l",
      "INFO",
    ],
    "entrypoint": [
      "/bin/sh",
      "/run/engineroom/entry.sh",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=tasks",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/tasks/private/files",
      "env": {
        "CELERY_BROKER_URL": [
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
      "home": "CONTAINERS/tasks",
      "service": "tasks",
    },
    "hosts": {},
    "image": "engineroom-lab-test/app:HASH",
    "memoryMiB": 1024,
    "name": "test-tasks",
    "ports": [],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "tasks",
    "stopGraceSeconds": 60,
    "stopSignal": "SIGTERM",
    "user": "10001:10001",
    "volumes": [],
    "workingDir": "/app",
  }
`));

describe("a setting changes the plan", () => {
  const argv = (...more: readonly string[]) => ({
    argv: [
      ...["celery", "-A", "app.tasks", "worker", "-n", "tasks@test", "-P", "prefork", "-c", "1"],
      ...more,
      ...["-l", "INFO"],
    ],
  });

  it.each<[string, object, object]>([
    ["queues", { queues: ["images", "transcribe@gpu"] }, argv("-Q", "images,transcribe@gpu")],
    ["prefetchMultiplier", { prefetchMultiplier: 1 }, argv("--prefetch-multiplier", "1")],
    ["maxTasksPerChild", { maxTasksPerChild: 100 }, argv("--max-tasks-per-child", "100")],
    [
      "both limits",
      { timeLimit: "5m", softTimeLimit: "1500ms" },
      argv("--time-limit", "300", "--soft-time-limit", "1.5"),
    ],
    ["taskEvents", { taskEvents: true }, argv("-E")],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));

  it("app, pool, concurrency, nodename and loglevel", () => {
    const settings = { app: "src.core:app", pool: "threads", concurrency: 4, nodename: "a@b", loglevel: "debug" };
    expect(plan(settings)).toMatchObject({
      argv: ["celery", "-A", "src.core:app", "worker", "-n", "a@b", "-P", "threads", "-c", "4", "-l", "DEBUG"],
      check: { nodename: "a@b", heartbeat: true },
      consumes: { processes: 1 },
    });
  });

  it("pool solo: it is not asked while its one thread may run a task", () =>
    expect(plan({ pool: "solo" })).toMatchObject({ check: { heartbeat: false } }));
});

describe("in a container", () => {
  it.each<[string, object, number]>([
    ["a process for each task", { concurrency: 3 }, 3 * 1024],
    ["one process with threads", { concurrency: 8, pool: "threads" }, 1024],
  ])("its memory is that of %s", (_what, settings, memoryMiB) =>
    expect(containerOf(raw(settings), "tasks")).toMatchObject({ memoryMiB }),
  );

  it("with a broker of this host it comes by the relay", () =>
    expect(containerOf(raw({ in: "container" }, { in: "host" }), "tasks")).toMatchObject({
      check: { port: 6379, worker: { port: 6379, isDirect: false } },
    }));

  it("of this host, with a broker in a container, it comes by the engine's proxy", () =>
    expect(readable(serviceOf(raw({ in: "host" }, { in: "container", port: 7000 }), "tasks"))).toMatchObject({
      check: { port: 7000, worker: { port: 7000, isDirect: false } },
    }));
});

describe("what is wrong with it", () => {
  const words = (settings: object) =>
    problemsOf(raw(settings)).map(({ code, where, expected, got, fix }) => [code, where, expected, got, fix]);

  it.each<[string, object, readonly (readonly string[])[]]>([
    [
      "a limit without processes",
      { pool: "threads", timeLimit: "5m" },
      [
        [
          "POOL_SETTING",
          "services.tasks.timeLimit",
          "it only with pool: prefork, whose processes can be replaced and ended",
          "pool: threads",
          "remove it, or set services.tasks.pool to prefork",
        ],
      ],
    ],
    [
      "two at a time with one thread",
      { pool: "solo", concurrency: 2 },
      [
        [
          "POOL_SETTING",
          "services.tasks.concurrency",
          "1 with pool: solo, which runs one task after the other",
          "2",
          "remove it, or set services.tasks.pool to prefork or threads",
        ],
      ],
    ],
    [
      "no broker",
      { env: {} },
      [
        [
          "WORKER_WITHOUT_BROKER",
          "services.tasks.env",
          "a variable that refers to the worker's redis service",
          "none",
          'add env: { CELERY_BROKER_URL: "${broker.url}" } with the name of your redis service',
        ],
      ],
    ],
  ])("%s", (_what, settings, expected) => expect(words(settings)).toEqual(expected));

  it("a node name of another worker of the same broker", () => {
    const second = { ...raw({}).services.tasks, nodename: "tasks@test" };
    const { services } = raw({});
    expect(problemsOf({ services: { ...services, second } })).toEqual([
      {
        code: "NODENAME_TWICE",
        where: "services.second.nodename",
        expected: "a node name that no other worker of this broker has",
        got: "`tasks@test`, which `tasks` has too",
        fix: "set services.second.nodename to another name",
      },
    ]);
    const env = { CELERY_BROKER_URL: "${other.url}" };
    const other = { kind: "redis", port: 7000 };
    expect(problemsOf({ services: { ...services, other, second: { ...second, env } } })).toEqual([]);
  });
});
