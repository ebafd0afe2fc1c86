import { join } from "node:path";
import { isExecutable } from "#setup/path.ts";
import { commandVersion, dockerVersion } from "#setup/toolchain/versions.ts";

/** Programs that stand beside each other: the CLI looks for the two others in its own directory. */
export const programs = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"] as const;

/** Where the CLI looks for the command plugin, below PULUMI_HOME. */
export function commandPlugin(home: string): string {
  return join(home, "plugins", `resource-command-v${commandVersion}`, "pulumi-resource-command");
}

/** Where it looks for the docker plugin. */
export function dockerPlugin(home: string): string {
  return join(home, "plugins", `resource-docker-v${dockerVersion}`, dockerProgram);
}

export const dockerProgram = "pulumi-resource-docker";

export function isComplete(bin: string, home: string): boolean {
  return programs.every((name) => isExecutable(join(bin, name))) && isExecutable(commandPlugin(home));
}
