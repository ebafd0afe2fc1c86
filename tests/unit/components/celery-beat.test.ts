import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object, broker: object = {}) => ({
  services: {
    broker: { kind: "redis", ...broker },
    beat: {
      kind: "celery-beat",
      build: "./app",
      app: "app.tasks",
      env: { CELERY_BROKER_URL: "${broker.url}" },
      ...settings,
    },
  },
});

const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "beat"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "celery",
      "-A",
      "app.tasks",
      "beat",
      "-s",
      "STACK/data/beat/celerybeat-schedule",
      "--pidfile",
      "RUN/beat/beat.pid",
      "--max-interval",
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
      "host": "127.0.0.1",
      "kind": "celery-beat",
      "passwordFile": "STACK/services/broker/password",
      "pidFile": "RUN/beat/beat.pid",
      "port": 6379,
    },
    "cwd": "CACHE/builds/app-aaaaaaaaaaaa",
    "dataKept": true,
    "directories": [
      "STACK/data/beat",
      "RUN/beat",
    ],
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
    "kind": "celery-beat",
    "logFile": "STACK/logs/beat.log",
    "name": "beat",
    "needs": [
      "broker",
    ],
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

it("has this container", () =>
  expect(containerOf(raw({}), "beat")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/run/engineroom": "CONTAINERS/beat/private/files",
    },
    "capabilities": [],
    "check": {
      "host": "127.0.0.1",
      "kind": "celery-beat",
      "passwordFile": "CONTAINERS/broker/private/files/password",
      "pidFile": "/tmp/beat.pid",
      "port": 6379,
    },
    "command": [
      "celery",
      "-A",
      "app.tasks",
      "beat",
      "-s",
      "/data/celerybeat-schedule",
      "--pidfile",
      "/tmp/beat.pid",
      "--max-interval",
      "1",
      "-l",
      "INFO",
    ],
    "entrypoint": [
      "/bin/sh",
      "/run/engineroom/entry.sh",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=beat",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/beat/private/files",
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
      "home": "CONTAINERS/beat",
      "service": "beat",
    },
    "hosts": {},
    "image": "engineroom-lab-test/app:HASH",
    "memoryMiB": 512,
    "name": "test-beat",
    "ports": [],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "beat",
    "stopGraceSeconds": 10,
    "stopSignal": "SIGTERM",
    "user": "10001:10001",
    "volumes": [
      {
        "kept": true,
        "name": "test-beat",
        "target": "/data",
      },
    ],
    "workingDir": "/app",
  }
`));

it("app and loglevel change the plan", () =>
  expect(plan({ app: "src.core:app", loglevel: "warning" }).argv).toEqual([
    ...["celery", "-A", "src.core:app", "beat", "-s", "STACK/data/beat/celerybeat-schedule"],
    ...["--pidfile", "RUN/beat/beat.pid", "--max-interval", "1", "-l", "WARNING"],
  ]));

describe("of one application there is one", () => {
  const twice = (settings: object, others: object = {}) =>
    problemsOf({ services: { ...raw({}).services, ...others, second: { ...raw({}).services.beat, ...settings } } });

  it("which a second one of the stack file is told", () =>
    expect(twice({})).toEqual([
      {
        code: "BEAT_TWICE",
        where: "services.second.app",
        expected: "one celery-beat for an application: two send every task twice",
        got: "`app.tasks`, which `beat` has too",
        fix: "remove services.second",
      },
    ]));

  it.each<[string, object, object?]>([
    ["another application", { app: "app.others" }],
    ["another build", { build: undefined, cwd: "/srv" }],
    ["another broker", { env: { CELERY_BROKER_URL: "${other.url}" } }, { other: { kind: "redis", port: 7000 } }],
    ["one that is disabled", { enabled: false }],
  ])("unlike %s", (_what, settings, others) => expect(twice(settings, others)).toEqual([]));
});
