import type { SetupContext, Source } from "#setup/context.ts";
import { provenPackage } from "#setup/found.ts";
import { programOptions } from "#setup/go.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { objectStoreKey } from "#setup/toolchain/sources.ts";
import { objectStoreVersion } from "#setup/toolchain/versions.ts";
import { atLeast } from "#setup/version.ts";

/** The first that one can tell who may read the files. */
const minimum = "1.8.0";
const pattern = /Version\s*: v?(\d+\.\d+\.\d+)/;

export const objectStore: Part = {
  name: "object-store",
  wanted: `versitygw >= ${minimum}`,
  fix: "install versitygw: https://github.com/versity/versitygw/releases",
  // Read only where a stack asks for it.
  get pins() {
    return [objectStoreVersion, objectStoreKey()];
  },
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["versitygw"])) {
      const version = await versionOf(context, path, ["--version"], pattern);
      if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const sources = context.sources.filter((source) => source !== "host");
    const { path, source } = await makeObjectStore(context, sources);
    return { ...(await provenPackage(context, "object-store", path, { args: ["--version"], pattern })), source };
  },
};

/** Gets versitygw from the first of these sources that has it. */
export async function makeObjectStore(
  context: SetupContext,
  sources: readonly Source[],
): Promise<{ readonly path: string; readonly source: Source }> {
  const { findObjectStore } = await import("#setup/toolchain.ts");
  return findObjectStore(programOptions(context, sources));
}
