import { describe, expect, it } from "vitest";
import { printable } from "#stack/text.ts";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object) => ({ secrets: { r: { env: "R" } }, services: { bus: { kind: "mqtt", ...settings } } });
const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "bus"));
const conf = (settings: object = {}) => printable(plan(settings).files[0]?.content ?? []);

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/mosquitto/mosquitto",
      "-c",
      "STACK/services/bus/mosquitto.conf",
    ],
    "check": {
      "host": "127.0.0.1",
      "kind": "mqtt",
      "passwordFile": "STACK/services/bus/password",
      "port": 1883,
      "user": "app",
    },
    "cwd": "STACK/services/bus",
    "dataKept": true,
    "directories": [
      "STACK/data/bus",
    ],
    "env": {
      "LD_LIBRARY_PATH": [
        "/opt/mosquitto/lib",
      ],
    },
    "files": [
      {
        "content": [
          "listener 1883 127.0.0.1
  allow_anonymous false
  password_file STACK/services/bus/passwords
  persistence true
  persistence_location STACK/data/bus/
  autosave_interval 60
  log_dest stderr
  ",
        ],
        "mode": "0600",
        "path": "mosquitto.conf",
      },
      {
        "content": [
          "app:",
          {
            "as": "mosquitto",
            "secret": "bus.password",
          },
          "
  ",
        ],
        "mode": "0600",
        "path": "passwords",
      },
      {
        "content": [
          {
            "as": "plain",
            "secret": "bus.password",
          },
        ],
        "mode": "0600",
        "path": "password",
      },
    ],
    "gates": [],
    "generates": [
      "bus.password",
    ],
    "in": "host",
    "kind": "mqtt",
    "logFile": "STACK/logs/bus.log",
    "name": "bus",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "password": [
        {
          "as": "plain",
          "secret": "bus.password",
        },
      ],
      "port": [
        "1883",
      ],
      "url": [
        "mqtt://app:",
        {
          "as": "url",
          "secret": "bus.password",
        },
        "@127.0.0.1:1883",
      ],
      "user": [
        "app",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 1883,
      },
    ],
    "readyTimeoutMs": 30000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 10000,
    "stopSignal": "TERM",
    "tools": [
      "mqtt",
    ],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["port", { port: 7000 }, { ports: [{ host: "127.0.0.1", port: 7000 }], check: { port: 7000 } }],
    ["user", { user: "me" }, { check: { user: "me" }, outputs: { user: ["me"] } }],
    [
      "password",
      { password: "${secret.r}" },
      { generates: [], outputs: { url: ["mqtt://app:", { secret: "secret.r", as: "url" }, "@127.0.0.1:1883"] } },
    ],
    [
      "webSocketPort",
      { webSocketPort: 9001 },
      {
        ports: [
          { host: "127.0.0.1", port: 1883 },
          { host: "127.0.0.1", port: 9001 },
        ],
        outputs: { webSocketPort: ["9001"], webSocketUrl: ["ws://127.0.0.1:9001"] },
      },
    ],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it("speaks to pages in a browser on this machine alone", () =>
  expect(conf({ webSocketPort: 9001 })).toMatch(
    /^listener 1883 127\.0\.0\.1\nlistener 9001 127\.0\.0\.1\nprotocol websockets\nsocket_domain ipv4\nallow_anonymous false\n/,
  ));

it("has a port of its own for them", () =>
  expect(problemsOf(raw({ webSocketPort: 1883 }))).toEqual([
    {
      code: "PORT_CLASH",
      where: "services.bus.webSocketPort",
      expected: "a port of its own",
      got: "1883, which `bus` has too",
      fix: "set services.bus.webSocketPort to another number",
    },
  ]));

describe("in a container", () => {
  const contained = (settings: object = {}) => readable(containerOf(raw({ in: "container", ...settings }), "bus"));
  it("has this plan", () =>
    expect(contained({ webSocketPort: 9001 })).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/bus/private/files",
      },
      "capabilities": [],
      "check": {
        "host": "127.0.0.1",
        "kind": "mqtt",
        "passwordFile": "CONTAINERS/bus/private/files/password",
        "port": 1883,
        "user": "app",
      },
      "command": [
        "-c",
        "umask 077; cp /run/engineroom/passwords /tmp/passwords; exec mosquitto -c /run/engineroom/mosquitto.conf",
      ],
      "entrypoint": [
        "/bin/sh",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=bus",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/bus/private/files",
        "env": {},
        "files": [
          {
            "content": [
              "listener 1883 0.0.0.0
    listener 9001 0.0.0.0
    protocol websockets
    socket_domain ipv4
    allow_anonymous false
    password_file /tmp/passwords
    persistence true
    persistence_location /mosquitto/data/
    autosave_interval 60
    log_dest stderr
    ",
            ],
            "mode": "0600",
            "path": "mosquitto.conf",
          },
          {
            "content": [
              "app:",
              {
                "as": "mosquitto",
                "secret": "bus.password",
              },
              "
    ",
            ],
            "mode": "0600",
            "path": "passwords",
          },
          {
            "content": [
              {
                "as": "plain",
                "secret": "bus.password",
              },
            ],
            "mode": "0600",
            "path": "password",
          },
        ],
        "home": "CONTAINERS/bus",
        "service": "bus",
      },
      "hosts": {},
      "image": "mosquitto:2",
      "memoryMiB": 128,
      "name": "test-bus",
      "ports": [
        {
          "external": 1883,
          "internal": 1883,
          "ip": "127.0.0.1",
        },
        {
          "external": 9001,
          "internal": 9001,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "bus",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "user": "1883:1883",
      "volumes": [
        {
          "kept": true,
          "name": "test-bus",
          "target": "/mosquitto/data",
        },
      ],
    }
  `));
});
