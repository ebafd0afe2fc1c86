import { mkdirSync, realpathSync, renameSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { temporaryName } from "#setup/atomic.ts";
import { findGo } from "#setup/go.ts";
import type { Part } from "#setup/part.ts";
import { isExecutable } from "#setup/path.ts";
import { dockerPlugin as below } from "#setup/toolchain/layout.ts";
import { dockerKey } from "#setup/toolchain/sources.ts";
import { dockerFix, dockerVersion } from "#setup/toolchain/versions.ts";
import type { Tools } from "#setup/tools.ts";

export const dockerPlugin: Part = {
  name: "docker-plugin",
  wanted: `Pulumi's docker plugin ${dockerVersion}`,
  fix: dockerFix,
  // Read only where a stack has containers.
  get pins() {
    return [dockerVersion, dockerKey()];
  },
  needs: ["python", "pulumi"],
  find: ({ tools, cacheDir }) => {
    const path = below(pulumiHome(tools));
    const found = isExecutable(path) && !isOurs(path, cacheDir);
    return Promise.resolve(found ? { path, version: dockerVersion, source: "host" } : undefined);
  },
  install: async (context) => {
    const home = pulumiHome(context.tools);
    if (context.tools.pulumi?.source === "host") {
      // What we would build lacks a resource or two; people's other programs must not meet it.
      throw new UserError("SETUP_MISSING", `docker-plugin: expected your own Pulumi to have it in ${home}, got none.`, {
        fix: dockerFix,
        exitCode: 2,
      });
    }
    const { findDockerPlugin } = await import("#setup/toolchain.ts");
    const { path, source } = await findDockerPlugin({
      cacheDir: context.cacheDir,
      nodeModules: join(context.projectDir, "node_modules"),
      report: context.report,
      env: context.env,
      sources: context.sources.filter((source) => source !== "host"),
      go: async () => (await findGo(context)).path,
    });
    link(path, below(home));
    return { path: below(home), version: dockerVersion, source };
  },
};

function pulumiHome(tools: Tools): string {
  return tools.pulumi?.env?.["PULUMI_HOME"] ?? "";
}

/** It is made once for every Pulumi home, and linked there. */
function isOurs(path: string, cacheDir: string): boolean {
  return realpathSync(path).startsWith(join(realpathSync(cacheDir), "toolchain", "docker-"));
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}
