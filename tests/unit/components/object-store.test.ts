import { describe, expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object) => ({
  secrets: { r: { env: "R" } },
  services: { store: { kind: "object-store", buckets: ["artifacts"], ...settings } },
});
const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "store"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/bin/sh",
      "STACK/services/store/start.sh",
      "artifacts",
    ],
    "check": {
      "accessKey": "app",
      "buckets": [
        "artifacts",
      ],
      "kind": "object-store",
      "region": "us-east-1",
      "secretKeyFile": "STACK/services/store/secret-key",
      "url": "http://127.0.0.1:9000",
    },
    "cwd": "STACK/services/store",
    "dataKept": true,
    "directories": [
      "STACK/data/store",
    ],
    "env": {
      "ROOT_ACCESS_KEY_ID": [
        "app",
      ],
      "STORE": [
        "/opt/versitygw/versitygw",
      ],
      "STORE_HOME": [
        "STACK/services/store",
      ],
      "STORE_LISTEN": [
        "127.0.0.1:9000",
      ],
      "STORE_OBJECTS": [
        "STACK/data/store/objects",
      ],
      "STORE_REGION": [
        "us-east-1",
      ],
    },
    "files": [
      {
        "content": [
          "set -eu
  umask 077
  for bucket; do mkdir -p "$STORE_OBJECTS/$bucket"; done
  ROOT_SECRET_ACCESS_KEY=$(cat "$STORE_HOME/secret-key")
  export ROOT_SECRET_ACCESS_KEY
  exec "$STORE" --port "$STORE_LISTEN" --region "$STORE_REGION" posix --dir-perms 0700 --file-perms 0600 "$STORE_OBJECTS"
  ",
        ],
        "mode": "0600",
        "path": "start.sh",
      },
      {
        "content": [
          {
            "as": "plain",
            "secret": "store.secretKey",
          },
        ],
        "mode": "0600",
        "path": "secret-key",
      },
    ],
    "gates": [],
    "generates": [
      "store.secretKey",
    ],
    "in": "host",
    "kind": "object-store",
    "logFile": "STACK/logs/store.log",
    "name": "store",
    "needs": [],
    "outputs": {
      "accessKey": [
        "app",
      ],
      "host": [
        "127.0.0.1",
      ],
      "port": [
        "9000",
      ],
      "region": [
        "us-east-1",
      ],
      "secretKey": [
        {
          "as": "plain",
          "secret": "store.secretKey",
        },
      ],
      "url": [
        "http://127.0.0.1:9000",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 9000,
      },
    ],
    "readyTimeoutMs": 30000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 10000,
    "stopSignal": "TERM",
    "tools": [
      "object-store",
    ],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    [
      "port",
      { port: 7000 },
      {
        env: { STORE_LISTEN: ["127.0.0.1:7000"] },
        check: { url: "http://127.0.0.1:7000" },
        outputs: { port: ["7000"] },
      },
    ],
    [
      "buckets",
      { buckets: ["one", "two"] },
      { argv: ["/bin/sh", "STACK/services/store/start.sh", "one", "two"], check: { buckets: ["one", "two"] } },
    ],
    ["accessKey", { accessKey: "me" }, { env: { ROOT_ACCESS_KEY_ID: ["me"] }, check: { accessKey: "me" } }],
    [
      "secretKey",
      { secretKey: "${secret.r}" },
      { generates: [], outputs: { secretKey: [{ secret: "secret.r", as: "plain" }] } },
    ],
    ["region", { region: "eu-1" }, { env: { STORE_REGION: ["eu-1"] }, check: { region: "eu-1" } }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it.each([
  [{ buckets: [] }, "services.store.buckets", "at least one bucket"],
  [{ buckets: ["No"] }, "services.store.buckets.0", "a name of 3 to 63 lower-case letters, digits and hyphens"],
  [{ secretKey: "plain" }, "services.store.secretKey", "`${secret.NAME}`"],
])("refuses %j", (settings, where, expected) =>
  expect(problemsOf(raw(settings))).toMatchObject([{ where, expected: expect.stringContaining(expected) as string }]),
);

it("knows the secret that it is given", () =>
  expect(problemsOf(raw({ secretKey: "${secret.gone}" }))).toMatchObject([
    { code: "SECRET_UNKNOWN", where: "services.store.secretKey" },
  ]));

describe("in a container", () => {
  const contained = () => readable(containerOf(raw({ in: "container" }), "store"));
  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/store/private/files",
      },
      "capabilities": [],
      "check": {
        "accessKey": "app",
        "buckets": [
          "artifacts",
        ],
        "kind": "object-store",
        "region": "us-east-1",
        "secretKeyFile": "CONTAINERS/store/private/files/secret-key",
        "url": "http://127.0.0.1:9000",
      },
      "command": [
        "/run/engineroom/start.sh",
        "artifacts",
      ],
      "entrypoint": [
        "/bin/sh",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=store",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
        "ROOT_ACCESS_KEY_ID=app",
        "STORE=versitygw",
        "STORE_HOME=/run/engineroom",
        "STORE_LISTEN=0.0.0.0:9000",
        "STORE_OBJECTS=/var/tmp/objects",
        "STORE_REGION=us-east-1",
      ],
      "files": {
        "directory": "CONTAINERS/store/private/files",
        "env": {},
        "files": [
          {
            "content": [
              "set -eu
    umask 077
    for bucket; do mkdir -p "$STORE_OBJECTS/$bucket"; done
    ROOT_SECRET_ACCESS_KEY=$(cat "$STORE_HOME/secret-key")
    export ROOT_SECRET_ACCESS_KEY
    exec "$STORE" --port "$STORE_LISTEN" --region "$STORE_REGION" posix --dir-perms 0700 --file-perms 0600 "$STORE_OBJECTS"
    ",
            ],
            "mode": "0600",
            "path": "start.sh",
          },
          {
            "content": [
              {
                "as": "plain",
                "secret": "store.secretKey",
              },
            ],
            "mode": "0600",
            "path": "secret-key",
          },
        ],
        "home": "CONTAINERS/store",
        "service": "store",
      },
      "hosts": {},
      "image": "versitygw:1",
      "memoryMiB": 512,
      "name": "test-store",
      "ports": [
        {
          "external": 9000,
          "internal": 9000,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "store",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "user": "10001:10001",
      "volumes": [
        {
          "kept": true,
          "name": "test-store",
          "target": "/var/tmp",
        },
      ],
    }
  `));
});
