import { describe, expect, it } from "vitest";
import { printable } from "#stack/text.ts";
import { containerOf, readable, serviceOf } from "#tests/support/stack.ts";

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

describe("in a container", () => {
  const contained = (settings: object = {}) =>
    containerOf({ services: { broker: { kind: "redis", ...settings } } }, "broker");

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/broker/private/files",
      },
      "capabilities": [],
      "check": {
        "host": "127.0.0.1",
        "kind": "redis",
        "passwordFile": "CONTAINERS/broker/private/files/password",
        "policy": "noeviction",
        "port": 6379,
      },
      "command": [
        "/run/engineroom/redis.conf",
      ],
      "entrypoint": [
        "valkey-server",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=broker",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/broker/private/files",
        "env": {},
        "files": [
          {
            "content": [
              "bind 0.0.0.0
    port 6379
    dir "/data"
    aclfile "/run/engineroom/users.acl"
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
        "home": "CONTAINERS/broker",
        "service": "broker",
      },
      "hosts": {},
      "image": "valkey:8",
      "memoryMiB": 576,
      "name": "test-broker",
      "ports": [
        {
          "external": 6379,
          "internal": 6379,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "broker",
      "stopGraceSeconds": 30,
      "stopSignal": "SIGTERM",
      "user": "999:999",
      "volumes": [
        {
          "kept": true,
          "name": "test-broker",
          "target": "/data",
        },
      ],
    }
  `));

  it("has no volume as a cache, which keeps nothing", () => expect(contained({ role: "cache" }).volumes).toEqual([]));
  it("has room to write its log anew", () => expect(contained({ maxMemory: "1GiB" }).memoryMiB).toBe(2 * 1024 + 64));
});
