import { describe, expect, it } from "vitest";
import { containerOf, readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(
    serviceOf(
      {
        services: {
          db: { kind: "postgres" },
          migrate: { kind: "job", command: ["migrate"], env: { D: "${db.url}" }, ...settings },
        },
      },
      "migrate",
    ),
  );

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "migrate",
    ],
    "cwd": "STACK/services/migrate",
    "dataKept": true,
    "directories": [],
    "env": {
      "D": [
        "postgresql://app:",
        {
          "as": "url",
          "secret": "db.password",
        },
        "@127.0.0.1:5432/app",
      ],
    },
    "files": [],
    "gates": [
      {
        "port": {
          "host": "127.0.0.1",
          "port": 5432,
        },
      },
    ],
    "generates": [],
    "in": "host",
    "kind": "job",
    "logFile": "STACK/logs/migrate.log",
    "name": "migrate",
    "needs": [
      "db",
    ],
    "outputs": {},
    "ports": [],
    "readyTimeoutMs": 600000,
    "required": true,
    "restart": "no",
    "run": "job",
    "stopGraceMs": 10000,
    "stopSignal": "TERM",
    "tools": [],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["timeout", { timeout: "5s" }, { readyTimeoutMs: 5000 }],
    ["cwd", { cwd: "/srv" }, { cwd: "/srv" }],
    ["build", { build: "./app" }, { cwd: "CACHE/builds/app-aaaaaaaaaaaa" }],
    ["command", { command: ["a", "b c"] }, { argv: ["a", "b c"] }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it("opens a gate to its dependents by its mark", () =>
  expect(
    readable(
      serviceOf(
        {
          services: {
            migrate: { kind: "job", command: ["migrate"] },
            api: { kind: "web", command: ["serve"], needs: ["migrate"] },
          },
        },
        "api",
      ),
    ).gates,
  ).toEqual([{ file: "STACK/services/migrate/done.json" }]));

describe("in a container", () => {
  const contained = (settings: object = {}, database: object = {}) =>
    containerOf(
      {
        services: {
          db: { kind: "postgres", ...database },
          migrate: { kind: "job", build: "./app", command: ["migrate"], env: { D: "${db.url}" }, ...settings },
        },
      },
      "migrate",
    );

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/migrate/private/files",
      },
      "capabilities": [],
      "command": [
        "migrate",
      ],
      "entrypoint": [
        "/bin/sh",
        "/run/engineroom/entry.sh",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=migrate",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/migrate/private/files",
        "env": {
          "D": [
            "postgresql://app:",
            {
              "as": "url",
              "secret": "db.password",
            },
            "@db:5432/app",
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
        "home": "CONTAINERS/migrate",
        "service": "migrate",
      },
      "hosts": {},
      "image": "engineroom-lab-test/app:HASH",
      "job": {
        "data": {
          "db": "CONTAINERS/db/data-id",
        },
        "doneFile": "CONTAINERS/migrate/done.json",
      },
      "memoryMiB": 1024,
      "name": "test-migrate",
      "ports": [],
      "readOnly": true,
      "restart": "no",
      "service": "migrate",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "user": "10001:10001",
      "volumes": [],
      "workingDir": "/app",
    }
  `));

  it("looks for the id of a host service's data where that keeps it", () =>
    expect(contained({}, { in: "host" }).job).toEqual({
      doneFile: "CONTAINERS/migrate/done.json",
      data: { db: "STACK/data/db/pgdata/engineroom-id" },
    }));

  it("opens a gate to dependents on the host by its mark", () =>
    expect(
      readable(
        serviceOf(
          {
            services: {
              migrate: { kind: "job", in: "container", build: "./app", command: ["migrate"] },
              api: { kind: "web", command: ["serve"], needs: ["migrate"] },
            },
          },
          "api",
        ),
      ).gates,
    ).toEqual([{ file: "CONTAINERS/migrate/done.json" }]));
});
