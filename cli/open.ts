import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { UserError } from "#cli/errors.ts";
import { globalOptions, projectDir } from "#cli/options.ts";
import { readJson } from "#observe/records.ts";
import { openStack, placesOf, type Opened } from "#observe/world.ts";
import { readTools } from "#setup/tools.ts";
import { readStackFile, stackFileName } from "#stack/file.ts";
import { hostPlaces, projectPlaces, type HostPlaces, type StackPlaces } from "#stack/places.ts";
import { problemReport } from "#stack/problems.ts";
import type { StackConfig } from "#stack/sections.ts";

const DEFAULT_STACK = "local";

/** A stack that was named and whose file can be read; its content may still be wrong. */
export interface Selected {
  readonly stack: string;
  readonly config: StackConfig;
  /** Pulumi has written `encryptionsalt` into the file. */
  readonly salt: boolean;
  readonly host: HostPlaces;
  readonly places: StackPlaces;
}

/** The stack that the command is about. Throws what is wrong with its file, before Pulumi starts. */
export function selectStack(command: Command): Selected {
  const stack = globalOptions(command).stack ?? process.env["PULUMI_STACK"] ?? lastSelected() ?? DEFAULT_STACK;
  const file = readStackFile(projectDir, stack);
  if ("problems" in file) throw badStackFile(stack, file.problems);
  const options = { stack, projectDir, env: process.env };
  return {
    stack,
    ...file,
    host: hostPlaces(process.env, process.getuid?.() ?? 0),
    places: placesOf(options, file.config.values["engineroom:settings"]),
  };
}

/** The stack's plan. Throws everything that is wrong with its file at once. */
export function openSelected({ stack, config }: Selected): Opened {
  const opened = openStack({ stack, config, projectDir, env: process.env });
  if ("problems" in opened) throw badStackFile(stack, opened.problems);
  return opened;
}

function badStackFile(stack: string, problems: Parameters<typeof problemReport>[1]): UserError {
  return new UserError("STACK_FILE", problemReport(stackFileName(stack), problems), { exitCode: 2 });
}

/** What `pulumi stack select` has noted for this checkout. */
function lastSelected(): string | undefined {
  const host = hostPlaces(process.env, process.getuid?.() ?? 0);
  const home = process.env["PULUMI_HOME"] ?? readTools(host.cacheDir).pulumi?.env?.["PULUMI_HOME"];
  if (home === undefined) return undefined;
  const project = createHash("sha1").update(join(projectDir, "Pulumi.yaml")).digest("hex");
  const noted = readJson(join(home, "workspaces", `engineroom-${project}-workspace.json`)) as
    { stacks?: Readonly<Record<string, string>> } | undefined;
  const backend = process.env["PULUMI_BACKEND_URL"] ?? pathToFileURL(projectPlaces(host, projectDir).backendDir).href;
  return noted?.stacks?.[backend]?.split("/").at(-1);
}
