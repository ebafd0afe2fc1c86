import { join } from "node:path";
import type { SetupContext, Source } from "#setup/context.ts";
import { debianKey, unpackDebian } from "#setup/debian.ts";
import { provenPackage } from "#setup/found.ts";
import { programOptions } from "#setup/go.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { prometheusVersion } from "#setup/toolchain/versions.ts";
import { atLeast } from "#setup/version.ts";

const minimum = "2.40";
const pattern = /prometheus, version (\d+\.\d+\.\d+)/;
const packages = ["prometheus"];

export const prometheusKey = debianKey(packages);

export const prometheus: Part = {
  name: "prometheus",
  wanted: `prometheus >= ${minimum}`,
  fix: "apt install prometheus, or a release from prometheus.io/download on PATH",
  pins: [minimum, prometheusVersion, prometheusKey],
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["prometheus"])) {
      const version = await versionOf(context, path, ["--version"], pattern);
      if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const sources = context.sources.filter((source) => source !== "host");
    const { path, source } = await makePrometheus(context, sources);
    return { ...(await provenPackage(context, "prometheus", path, { args: ["--version"], pattern })), source };
  },
};

/** Gets Prometheus from the first of these sources that has it. */
export async function makePrometheus(
  context: SetupContext,
  sources: readonly Source[],
): Promise<{ readonly path: string; readonly source: Source }> {
  const { findPrometheus } = await import("#setup/toolchain.ts");
  return findPrometheus({
    ...programOptions(context, sources),
    unpack: async () => join(await unpackDebian(context, "prometheus", packages), "usr/bin/prometheus"),
  });
}
