import { join } from "node:path";
import type { SetupContext } from "#setup/context.ts";
import { debianKey, unpackDebian } from "#setup/debian.ts";
import { provenPackage } from "#setup/found.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { tryProgram } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";

const minimum = "2.0";
const pattern = /mosquitto version (\d+\.\d+\.\d+)/;
/** With the two of its libraries that not every host has. */
const packages = ["mosquitto", "libwrap0", "libdlt2"];

export const mosquittoKey = debianKey(packages);

export const mqtt: Part = {
  name: "mqtt",
  wanted: `mosquitto >= ${minimum}`,
  fix: "apt install mosquitto",
  pins: [minimum, mosquittoKey],
  needs: [],
  find: async (context) => {
    for (const path of executables(context.env, ["mosquitto"], ["/usr/sbin", "/usr/local/sbin"])) {
      // Its help, with the version, is no success to it.
      const version = pattern.exec((await tryProgram(context, path, ["-h"])).output)?.[1];
      if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const { path, libraries } = await unpackMosquitto(context);
    const env = { LD_LIBRARY_PATH: libraries };
    return provenPackage(context, "mqtt", path, { args: ["-h"], pattern, env, anyExit: true });
  },
};

export async function unpackMosquitto(
  context: SetupContext,
): Promise<{ readonly path: string; readonly libraries: string }> {
  const root = await unpackDebian(context, "mosquitto", packages);
  return { path: join(root, "usr/sbin/mosquitto"), libraries: join(root, "usr/lib/x86_64-linux-gnu") };
}
