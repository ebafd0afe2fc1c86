import { describe, expect, it } from "vitest";
import { containerOf, readable, serviceOf } from "#tests/support/stack.ts";

const plan = (settings: object = {}) => {
  const { files, ...rest } = readable(
    serviceOf({ secrets: { pg: { env: "PG" } }, services: { db: { kind: "postgres", ...settings } } }, "db"),
  );
  return { ...rest, files: Object.fromEntries(files.map(({ path, content }) => [path, content])) };
};
const withoutScript = (settings?: object) => {
  const { files, ...rest } = plan(settings);
  const { "start.sh": _script, ...others } = files;
  return { ...rest, files: others };
};

it("has this plan", () =>
  expect(withoutScript()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/bin/sh",
      "STACK/services/db/start.sh",
    ],
    "check": {
      "database": "app",
      "host": "127.0.0.1",
      "kind": "postgres",
      "passwordFile": "STACK/services/db/password",
      "port": 5432,
      "user": "app",
    },
    "cwd": "STACK/services/db",
    "dataIdFile": "STACK/data/db/pgdata/engineroom-id",
    "dataKept": true,
    "directories": [
      "STACK/data/db",
      "RUN/db",
    ],
    "env": {
      "LD_LIBRARY_PATH": [
        "/opt/pg/lib",
      ],
      "PGBIN": [
        "/opt/pg/bin",
      ],
      "PGDATA": [
        "STACK/data/db/pgdata",
      ],
      "PGDATABASE_WANTED": [
        "app",
      ],
      "PGHOME": [
        "STACK/services/db",
      ],
      "PGLISTEN": [
        "127.0.0.1",
      ],
      "PGMAXCONNECTIONS": [
        "100",
      ],
      "PGPORT": [
        "5432",
      ],
      "PGSHAREDBUFFERS": [
        "131072kB",
      ],
      "PGSOCKETS": [
        "RUN/db",
      ],
      "PGUSER_WANTED": [
        "app",
      ],
    },
    "files": {
      "password": [
        {
          "as": "plain",
          "secret": "db.password",
        },
      ],
      "pg_hba.conf": [
        "local all postgres peer map=owner
  local all all reject
  host all all 127.0.0.1/32 scram-sha-256
  ",
      ],
      "pg_ident.conf": [
        "owner me postgres
  ",
      ],
      "role.sql": [
        "DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''app'') THEN CREATE ROLE "app"; END IF; END'
  ALTER ROLE "app" LOGIN PASSWORD '",
        {
          "as": "sql",
          "secret": "db.password",
        },
        "'
  ",
      ],
    },
    "gates": [],
    "generates": [
      "db.password",
    ],
    "in": "host",
    "kind": "postgres",
    "logFile": "STACK/logs/db.log",
    "name": "db",
    "needs": [],
    "outputs": {
      "database": [
        "app",
      ],
      "host": [
        "127.0.0.1",
      ],
      "password": [
        {
          "as": "plain",
          "secret": "db.password",
        },
      ],
      "port": [
        "5432",
      ],
      "url": [
        "postgresql://app:",
        {
          "as": "url",
          "secret": "db.password",
        },
        "@127.0.0.1:5432/app",
      ],
      "user": [
        "app",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 5432,
      },
    ],
    "readyTimeoutMs": 60000,
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 60000,
    "stopSignal": "INT",
    "tools": [
      "postgres",
    ],
  }
`));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    [
      "port",
      { port: 6000 },
      {
        ports: [{ host: "127.0.0.1", port: 6000 }],
        env: { PGPORT: ["6000"] },
        check: { port: 6000 },
        outputs: { port: ["6000"] },
      },
    ],
    [
      "database",
      { database: "shop" },
      { env: { PGDATABASE_WANTED: ["shop"] }, check: { database: "shop" }, outputs: { database: ["shop"] } },
    ],
    [
      "user",
      { user: "owner" },
      { env: { PGUSER_WANTED: ["owner"] }, check: { user: "owner" }, outputs: { user: ["owner"] } },
    ],
    [
      "password",
      { password: "${secret.pg}" },
      { generates: [], files: { password: [{ secret: "secret.pg", as: "plain" }] } },
    ],
    ["maxConnections", { maxConnections: 20 }, { env: { PGMAXCONNECTIONS: ["20"] } }],
    ["sharedBuffers", { sharedBuffers: "64MiB" }, { env: { PGSHAREDBUFFERS: ["65536kB"] } }],
    ["sharedBuffers, to whole kB", { sharedBuffers: "1MB" }, { env: { PGSHAREDBUFFERS: ["977kB"] } }],
    ["ready", { ready: { timeout: "5s" } }, { readyTimeoutMs: 5000 }],
    ["env, beside its own", { env: { TZ: "UTC" } }, { env: { TZ: ["UTC"], PGPORT: ["5432"] } }],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));
});

it("lets nobody in but the owner's account by the socket, and nobody without a password by TCP", () => {
  const { files } = plan();
  expect(files["pg_hba.conf"]).toEqual([
    "local all postgres peer map=owner\nlocal all all reject\nhost all all 127.0.0.1/32 scram-sha-256\n",
  ]);
  expect(files["pg_ident.conf"]).toEqual(["owner me postgres\n"]);
});

it("starts by a script that is the same for all: what differs comes in variables", () =>
  expect(plan({ port: 6000, database: "shop", user: "owner" }).files["start.sh"]).toEqual(plan().files["start.sh"]));

describe("in a container", () => {
  const contained = (settings: object = {}) => {
    const { files, ...rest } = containerOf({ services: { db: { kind: "postgres", ...settings } } }, "db");
    const texts = Object.fromEntries((files?.files ?? []).map(({ path, content }) => [path, content]));
    return { ...rest, files: { ...files, files: texts } };
  };

  it("has this plan", () => {
    const { files, ...rest } = contained();
    const { "start.sh": script, ...others } = files.files;
    expect({ ...rest, files: { ...files, files: others } }).toMatchInlineSnapshot(`
      {
        "binds": {
          "/run/engineroom": "CONTAINERS/db/private/files",
        },
        "capabilities": [],
        "check": {
          "database": "app",
          "host": "127.0.0.1",
          "kind": "postgres",
          "passwordFile": "CONTAINERS/db/private/files/password",
          "port": 5432,
          "user": "app",
        },
        "command": [
          "/run/engineroom/start.sh",
        ],
        "entrypoint": [
          "/bin/sh",
        ],
        "environment": [
          "ENGINEROOM_SERVICE=db",
          "ENGINEROOM_STACK=test",
          "HOME=/tmp",
          "LANG=C.UTF-8",
          "PGBIN=/usr/lib/postgresql/18/bin",
          "PGDATA=/var/lib/postgresql/pgdata",
          "PGDATABASE_WANTED=app",
          "PGHOME=/run/engineroom",
          "PGLISTEN=0.0.0.0",
          "PGMAXCONNECTIONS=100",
          "PGPORT=5432",
          "PGSHAREDBUFFERS=131072kB",
          "PGSOCKETS=/tmp",
          "PGUSER_WANTED=app",
          "PYTHONUNBUFFERED=1",
        ],
        "files": {
          "directory": "CONTAINERS/db/private/files",
          "env": {},
          "files": {
            "password": [
              {
                "as": "plain",
                "secret": "db.password",
              },
            ],
            "pg_hba.conf": [
              "local all postgres peer map=owner
      local all all reject
      host all all samenet scram-sha-256
      ",
            ],
            "pg_ident.conf": [
              "owner postgres postgres
      ",
            ],
            "role.sql": [
              "DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''app'') THEN CREATE ROLE "app"; END IF; END'
      ALTER ROLE "app" LOGIN PASSWORD '",
              {
                "as": "sql",
                "secret": "db.password",
              },
              "'
      ",
            ],
          },
          "home": "CONTAINERS/db",
          "service": "db",
        },
        "hosts": {},
        "image": "postgres:18",
        "memoryMiB": 1184,
        "name": "test-db",
        "ports": [
          {
            "external": 5432,
            "internal": 5432,
            "ip": "127.0.0.1",
          },
        ],
        "readOnly": true,
        "restart": "unless-stopped",
        "service": "db",
        "stopGraceSeconds": 60,
        "stopSignal": "SIGINT",
        "user": "999:999",
        "volumes": [
          {
            "kept": true,
            "name": "test-db",
            "target": "/var/lib/postgresql",
          },
        ],
      }
    `);
    expect(script).toEqual(plan().files["start.sh"]);
  });

  it("has room for its connections", () =>
    expect(contained({ maxConnections: 20, sharedBuffers: "1GiB" }).memoryMiB).toBe(1024 + 20 * 8 + 256));
});
