import { dirname, join } from "node:path";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { provenPackage } from "#setup/found.ts";
import { versionOf } from "#setup/run.ts";
import { requirements, toolsVenv } from "#setup/wheels.ts";

const pattern = /^(4\.3\.\d+)$/m;

export const supervisord: Part = {
  name: "supervisord",
  wanted: "supervisord 4.3",
  fix: "pipx install supervisor==4.3.0",
  pins: [requirements("supervisord")],
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["supervisord"])) {
      const version = await versionOf(context, path, ["--version"], pattern);
      if (version !== undefined) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const path = join(dirname(await toolsVenv(context)), "supervisord");
    return provenPackage(context, "supervisord", path, { args: ["--version"], pattern });
  },
};
