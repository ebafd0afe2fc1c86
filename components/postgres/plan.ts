import { dirname } from "node:path";
import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import type { Address } from "#stack/plan.ts";
import { defineExternal, defineKind, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { externalPostgres, postgresSettings } from "./settings.ts";

type Settings = z.output<typeof postgresSettings>;

/** Postgres keeps its socket beside TCP so that maintenance needs no password: only the owner's account gets in. */
const hba = (place: PlanContext["in"]): string => `local all postgres peer map=owner
local all all reject
host all all ${place === "host" ? "127.0.0.1/32" : "samenet"} scram-sha-256
`;

/** Of the image's contract (docs/images.md). */
const IMAGE = { bin: "/usr/lib/postgresql/18/bin", home: "/var/lib/postgresql", user: "999:999", account: "postgres" };

const passwordName = (settings: Pick<Settings, "password">, context: PlanContext): string =>
  settings.password ?? `${context.name}.password`;

function outputs(settings: Settings, context: PlanContext, { host, port }: Address): Readonly<Record<string, Text>> {
  const { user, database } = settings;
  const secret = passwordName(settings, context);
  return {
    host: [host],
    port: [String(port)],
    user: [user],
    database: [database],
    password: [hole(secret)],
    url: [`postgresql://${user}:`, hole(secret, "url"), `@${host}:${port}/${database}`],
  };
}

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const { user, database } = settings;
  const secret = passwordName(settings, context);
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : IMAGE.home;
  const pgdata = `${data}/pgdata`;
  const sockets = onHost ? `${context.places.runDir}/${context.name}` : "/tmp";
  return {
    argv: ["/bin/sh", `${context.home}/start.sh`],
    env: {
      PGHOME: [context.home],
      PGBIN: [onHost ? dirname(context.tool("postgres").path) : IMAGE.bin],
      PGDATA: [pgdata],
      PGDATABASE_WANTED: [database],
      PGUSER_WANTED: [user],
      PGLISTEN: [context.listen],
      PGPORT: [String(context.port)],
      PGSOCKETS: [sockets],
      PGMAXCONNECTIONS: [String(settings.maxConnections)],
      PGSHAREDBUFFERS: [`${Math.ceil(settings.sharedBuffers / 1024)}kB`],
    },
    files: [
      { path: "start.sh", mode: "0600", content: [START] },
      { path: "pg_hba.conf", mode: "0600", content: [hba(context.in)] },
      {
        path: "pg_ident.conf",
        mode: "0600",
        content: [`owner ${onHost ? context.account : IMAGE.account} postgres\n`],
      },
      { path: "role.sql", mode: "0600", content: roleSql(user, secret) },
      { path: "password", mode: "0600", content: [hole(secret)] },
    ],
    directories: [data, sockets],
    tools: ["postgres"],
    check: {
      kind: "postgres",
      ...context.at,
      user,
      database,
      passwordFile: `${context.hostHome}/password`,
    },
    readyTimeoutMs: 60_000,
    // "Fast" shutdown: ends sessions, keeps the data clean (PostgreSQL, "Shutting Down the Server").
    stopSignal: "INT",
    stopGraceMs: 60_000,
    generates: settings.password ? [] : [secret],
    dataIdFile: `${pgdata}/engineroom-id`,
    container: {
      image: "postgres",
      user: IMAGE.user,
      volume: IMAGE.home,
      // Each connection has memory of its own, work_mem several times over in a large query.
      memoryBytes: settings.sharedBuffers + settings.maxConnections * 8 * MIB + 256 * MIB,
    },
  };
}

/** One statement a line, as single-user mode reads it. */
function roleSql(user: string, secret: string): Text {
  const make = `IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''${user}'') THEN CREATE ROLE "${user}"; END IF;`;
  return [`DO 'BEGIN ${make} END'\nALTER ROLE "${user}" LOGIN PASSWORD '`, hole(secret, "sql"), `'\n`];
}

/**
 * Makes the data directory once, gives the role its password whenever that changed (kept data outlives a new state),
 * then becomes the server. Single-user mode needs no open socket, so nobody can use the database half-made.
 */
const START = `set -eu
umask 077
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.new"
  "$PGBIN/initdb" --pgdata="$PGDATA.new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 \\
    --auth-local=peer --auth-host=scram-sha-256 --no-instructions
  od -An -N16 -tx1 /dev/urandom | tr -d ' \\n' > "$PGDATA.new/engineroom-id"
  mv "$PGDATA.new" "$PGDATA"
fi
single() {
  "$PGBIN/postgres" --single -D "$PGDATA" -c exit_on_error=on -c log_min_error_statement=panic postgres
}
wanted=$({ cat "$PGHOME/role.sql"; echo "$PGDATABASE_WANTED $PGUSER_WANTED"; } | sha256sum | cut -d' ' -f1)
if [ "$(cat "$PGDATA/engineroom-role" 2>/dev/null || true)" != "$wanted" ]; then
  single < "$PGHOME/role.sql" > "$PGSOCKETS/single.out"
  echo "SELECT 'found' FROM pg_database WHERE datname = '$PGDATABASE_WANTED'" | single > "$PGSOCKETS/single.out"
  if grep -q '"found"' "$PGSOCKETS/single.out"; then
    echo "ALTER DATABASE \\"$PGDATABASE_WANTED\\" OWNER TO \\"$PGUSER_WANTED\\"" | single > "$PGSOCKETS/single.out"
  else
    echo "CREATE DATABASE \\"$PGDATABASE_WANTED\\" OWNER \\"$PGUSER_WANTED\\"" | single > "$PGSOCKETS/single.out"
  fi
  echo "$wanted" > "$PGDATA/engineroom-role"
fi
exec "$PGBIN/postgres" -D "$PGDATA" -p "$PGPORT" -c listen_addresses="$PGLISTEN" \\
  -c unix_socket_directories="$PGSOCKETS" -c unix_socket_permissions=0700 \\
  -c hba_file="$PGHOME/pg_hba.conf" -c ident_file="$PGHOME/pg_ident.conf" \\
  -c max_connections="$PGMAXCONNECTIONS" -c shared_buffers="$PGSHAREDBUFFERS"
`;

export const postgres = defineKind<Settings>({
  settings: postgresSettings,
  className: "Postgres",
  defaultPort: 5432,
  outputs,
  plan,
  external: defineExternal({
    settings: externalPostgres,
    plan: ({ user, database, password }, { at, hostHome }) => ({
      check: { kind: "postgres", ...at, user, database, passwordFile: `${hostHome}/password` },
      files: [{ path: "password", mode: "0600", content: [hole(password)] }],
    }),
  }),
});
