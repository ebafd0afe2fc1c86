import { describe, expect, it } from "vitest";
import { readable, serviceOf } from "#tests/support/stack.ts";

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
