import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { executables } from "#setup/path.ts";
import { isComplete } from "#setup/toolchain/layout.ts";
import { pulumiVersion } from "#setup/toolchain/versions.ts";

export interface HostToolchain {
  readonly pulumi: string;
  readonly home: string;
}

/** A Pulumi of the wanted version on PATH, with its language host beside it and the command plugin in its home. */
export async function hostToolchain(env: NodeJS.ProcessEnv): Promise<HostToolchain | undefined> {
  const home = env["PULUMI_HOME"] ?? join(env["HOME"] ?? homedir(), ".pulumi");
  for (const pulumi of executables(env, ["pulumi"])) {
    if (isComplete(dirname(pulumi), home) && (await versionOf(pulumi)) === pulumiVersion) return { pulumi, home };
  }
  return undefined;
}

async function versionOf(pulumi: string): Promise<string | undefined> {
  const result = await execa(pulumi, ["version"], {
    env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
    stdin: "ignore",
    reject: false,
    timeout: 10_000,
  });
  return result.failed ? undefined : result.stdout.trim().replace(/^v/, "");
}
