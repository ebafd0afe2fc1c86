import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { defaultHost, engineHost } from "#setup/docker-api.ts";
import { bringsPassphrase, isOurs } from "#setup/passphrase.ts";
import { executables } from "#setup/path.ts";
import { makeProjectPlaces } from "#setup/places.ts";
import type { Tool, Tools } from "#setup/tools.ts";
import type { HostPlaces, ProjectPlaces } from "#stack/places.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What Pulumi and its plugins need in their environment, less what is there already. Makes the state directory, which
 * Pulumi wants to find.
 */
export function pulumiEnvironment(options: {
  readonly host: HostPlaces;
  readonly project: ProjectPlaces;
  readonly tools: Tools;
  readonly env: Environment;
}): Record<string, string> {
  const { host, project, tools, env } = options;
  makeProjectPlaces(project);
  const wanted = {
    PATH: pathWith([tools.pulumi, tools.node], env),
    ...tools.pulumi?.env,
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    ...(bringsBackend(project, env) ? {} : { PULUMI_BACKEND_URL: pathToFileURL(project.backendDir).href }),
    ...(bringsPassphrase(project, env) ? {} : { PULUMI_CONFIG_PASSPHRASE_FILE: project.passphraseFile }),
    // The provider knows this variable alone, and no docker context.
    ...(env["DOCKER_HOST"] || engineHost(env) === defaultHost ? {} : { DOCKER_HOST: engineHost(env) }),
    ...unlessSet(env, {
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_SUPPRESS_NEO_LINK: "true",
      PULUMI_PARALLEL: "64",
      PULUMI_CONTINUE_ON_ERROR: "true",
      NODE_COMPILE_CACHE: join(host.cacheDir, "node-compile-cache"),
    }),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => env[name] !== value));
}

/** POSIX shell lines that set the variables; any value comes through unchanged. */
export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${shellQuote(value)}\n`)
    .join("");
}

export function shellQuote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

function bringsBackend(project: ProjectPlaces, env: Environment): boolean {
  const url = env["PULUMI_BACKEND_URL"];
  if (url === undefined) return false;
  return !URL.canParse(url) || !url.startsWith("file:///") || !isOurs(project, fileURLToPath(url));
}

/** PATH with the directories of these tools first, unless it leads to them already. */
function pathWith(tools: readonly (Tool | undefined)[], env: Environment): string {
  const path = env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin";
  return tools.reduce((dirs, tool) => (tool === undefined || leadsTo(tool, dirs) ? dirs : putFirst(tool, dirs)), path);
}

function leadsTo(tool: Tool, path: string): boolean {
  const name = tool.path.slice(dirname(tool.path).length + 1);
  const [first] = executables({ PATH: path }, [name]);
  const [real] = executables({ PATH: dirname(tool.path) }, [name]);
  return first !== undefined && first === real;
}

function putFirst(tool: Tool, path: string): string {
  const dir = dirname(tool.path);
  return [dir, ...path.split(":").filter((other) => other !== dir)].join(":");
}

function unlessSet(env: Environment, variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => env[name] === undefined));
}
