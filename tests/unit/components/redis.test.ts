import { describe, expect, it } from "vitest";
import { printable } from "#stack/text.ts";
import { readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(serviceOf({ secrets: { r: { env: "R" } }, services: { broker: { kind: "redis", ...settings } } }, "broker"));
const conf = (settings: object = {}) =>
  printable(plan(settings).files.find(({ path }) => path === "redis.conf")?.content ?? []);

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/valkey/valkey-server",
      "STACK/services/broker/redis.conf",
    ],
    "check": {
      "host": "127.0.0.1",
      "kind": "redis",
      "passwordFile": "STACK/services/broker/password",
      "policy": "noeviction",
      "port": 6379,
    },
    "cwd": "STACK/services/broker",
    "dataKept": true,
    "directories": [
      "STACK/data/broker",
    ],
    "env": {},
    "files": [
      {
        "content": [
          "bind 127.0.0.1
  port 6379
  dir "STACK/data/broker"
  aclfile "STACK/services/broker/users.acl"
  maxmemory 268435456
  maxmemory-policy noeviction
  appendonly yes
  ",
        ],
        "mode": "0600",
        "path": "redis.conf",
      },
      {
        "content": [
          "user default on #",
          {
            "as": "sha256",
            "secret": "broker.password",
          },
          " ~* &* +@all
  ",
        ],
        "mode": "0600",
        "path": "users.acl",
      },
      {
        "content": [
          {
            "as": "plain",
            "secret": "broker.password",
          },
        ],
        "mode": "0600",
        "path": "password",
      },
    ],
    "gates": [],
    "generates": [
      "broker.password",
    ],
    "in": "host",
    "kind": "redis",
    "logFile": "STACK/logs/broker.log",
    "name": "broker",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "password": [
        {
          "as": "plain",
          "secret": "broker.password",
        },
      ],
      "port": [
        "6379",
      ],
      "url": [
        "redis://:",
        {
          "as": "url",
          "secret": "broker.password",
        },
        "@127.0.0.1:6379/0",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 6379,
      },
    ],
    "readyTimeoutMs": 60000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 30000,
    "stopSignal": "TERM",
    "tools": [
      "redis",
    ],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["port", { port: 7000 }, { ports: [{ host: "127.0.0.1", port: 7000 }], check: { port: 7000 } }],
    ["role", { role: "cache" }, { check: { policy: "allkeys-lfu" } }],
    [
      "password",
      { password: "${secret.r}" },
      {
        generates: [],
        outputs: { url: ["redis://:", { secret: "secret.r", as: "url" }, "@127.0.0.1:6379/0"] },
      },
    ],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

describe("redis.conf", () => {
  it("of a broker keeps every key, on disk too", () =>
    expect(conf()).toMatch(/maxmemory 268435456\nmaxmemory-policy noeviction\nappendonly yes\n$/));
  it("of a cache keeps nothing, and evicts", () =>
    expect(conf({ role: "cache", maxMemory: "64MB" })).toMatch(
      /maxmemory 64000000\nmaxmemory-policy allkeys-lfu\nappendonly no\nsave ""\n$/,
    ));
  it("listens on loopback only", () => expect(conf({ port: 7000 })).toMatch(/^bind 127\.0\.0\.1\nport 7000\n/));
});
