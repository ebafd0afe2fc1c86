import { dirname, join } from "node:path";
import type { Found, Source } from "#setup/context.ts";
import { findGo } from "#setup/go.ts";
import type { Part } from "#setup/part.ts";
import { isComplete } from "#setup/toolchain/layout.ts";
import { sourcesKey } from "#setup/toolchain/sources.ts";
import { commandVersion, pulumiVersion } from "#setup/toolchain/versions.ts";

export const pulumi: Part = {
  name: "pulumi",
  wanted: `Pulumi ${pulumiVersion} with its Node language host and the command plugin ${commandVersion}`,
  fix: `install them (docs/toolchain.md)`,
  pins: [pulumiVersion, commandVersion, sourcesKey()],
  needs: ["python"],
  intact: ({ path, env }) => isComplete(dirname(path), env?.["PULUMI_HOME"] ?? ""),
  find: async ({ env }) => {
    const { hostToolchain } = await import("#setup/toolchain/host.ts");
    const found = await hostToolchain(env);
    return found === undefined ? undefined : asFound(found.pulumi, found.home, "host");
  },
  install: async (context) => {
    const { findToolchain } = await import("#setup/toolchain.ts");
    const {
      pulumi: path,
      home,
      source,
    } = await findToolchain({
      cacheDir: context.cacheDir,
      nodeModules: join(context.projectDir, "node_modules"),
      report: context.report,
      env: context.env,
      sources: context.sources.filter((source) => source !== "host"),
      go: async () => (await findGo(context)).path,
    });
    return asFound(path, home, source);
  },
};

function asFound(path: string, home: string, source: Source): Found {
  return { path, version: pulumiVersion, source, env: { PULUMI_HOME: home } };
}
