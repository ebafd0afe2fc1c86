import { accessSync, constants, lstatSync } from "node:fs";
import { join } from "node:path";
import { freeBytes } from "#checks/disk.ts";
import { flagsOfImage, flagsOfProgram, judgeFlags } from "#checks/llama-flags.ts";
import { inspectModelFile } from "#checks/model-file.ts";
import { listenersOn, type Listener } from "#checks/ports.ts";
import { lives, processStats, treeOf } from "#checks/process-tree.ts";
import { sourceProblems } from "#checks/preflight-sources.ts";
import type { ContainerSummary } from "#observe/docker.ts";
import type { GpusSeen } from "#observe/gpu.ts";
import type { World } from "#observe/world.ts";
import { readText } from "#observe/records.ts";
import { modelFilesOf, type ModelPlan, type ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { printable } from "#stack/text.ts";
import { RELAY } from "#components/relay.ts";

/** sun_path of unix(7), less its ending zero. */
const SOCKET_PATH_BYTES = 107;
/** Below this a database cannot even start its log. */
const DISK_BYTES = 64 * 2 ** 20;

/** Everything in the world around that would make `up` fail, at once. Changes nothing. */
export async function preflight(world: World): Promise<readonly Problem[]> {
  const now = [
    ...supervisorProblems(world),
    ...toolProblems(world),
    ...programProblems(world),
    ...socketProblems(world),
    ...placeProblems(world),
    ...secretProblems(world),
    ...sourceProblems(world),
  ];
  const looks = await Promise.all([
    portProblems(world),
    modelProblems(world),
    flagProblems(world),
    diskProblems(world),
    // Loaded where there are containers.
    world.plan.network && import("./preflight-containers.ts").then((module) => module.containerProblems(world)),
    world.gpus && import("./preflight-gpu.ts").then((module) => module.gpuPreflight(world)),
  ]);
  return [...now, ...looks.flatMap((problems) => problems ?? [])];
}

function supervisorProblems({ seen, plan }: World): readonly Problem[] {
  if (seen.supervisor.state !== "foreign") return [];
  return [
    {
      code: "SUPERVISOR_FOREIGN",
      where: plan.places.supervisorSocket,
      expected: `supervisord of ${plan.places.owner}`,
      got: `that of ${seen.supervisor.owner || "somebody else"}`,
      fix: "end it where it was started, or set engineroom:settings.id to another name",
    },
  ];
}

function toolProblems({ plan, context }: World): readonly Problem[] {
  const onHost = plan.services.filter((service) => service.in === "host");
  const wanted = new Set([
    "python" as const,
    ...(onHost.length > 0 ? ["supervisord" as const] : []),
    ...(plan.network ? ["docker-plugin" as const] : []),
    ...onHost.flatMap((service) => service.tools),
  ]);
  return [...wanted].flatMap((name) => {
    const path = context.tools[name]?.path;
    if (path !== undefined && isExecutable(path)) return [];
    return {
      code: "TOOL_MISSING",
      where: name,
      expected: "this program to be installed",
      got: path === undefined ? "nothing: set-up has not run" : `no program at ${path}`,
      fix: "./engineroom setup",
    };
  });
}

/** Programs that users name; those of a build are there only after it. */
function programProblems({ plan, hostPlans }: World): readonly Problem[] {
  return plan.services.flatMap((service) => {
    const [program] = service.argv;
    if (service.in !== "host" || program === undefined || service.build || service.tools.length > 0) return [];
    const path = printable(hostPlans.get(service.name)?.launch.env["PATH"] ?? []);
    const places = program.includes("/")
      ? [join(service.cwd, program), program]
      : path.split(":").map((dir) => join(dir, program));
    if (places.some(isExecutable)) return [];
    return {
      code: "PROGRAM_MISSING",
      where: `services.${service.name}.command`,
      expected: "a program that can be run",
      got: `\`${program}\`, which is not in ${path}`,
      fix: "install it, or give its absolute path",
    };
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function socketProblems({ plan }: World): readonly Problem[] {
  const sockets = [
    plan.places.supervisorSocket,
    ...plan.services.flatMap((service) =>
      service.kind === "postgres" && service.in === "host"
        ? service.ports.map(({ port }) => `${plan.places.runDir}/${service.name}/.s.PGSQL.${port}`)
        : [],
    ),
  ];
  return sockets
    .filter((path) => Buffer.byteLength(path) > SOCKET_PATH_BYTES)
    .map((path) => ({
      code: "SOCKET_PATH",
      where: path,
      expected: `a socket path of at most ${SOCKET_PATH_BYTES} bytes`,
      got: `${Buffer.byteLength(path)}`,
      fix: "set ENGINEROOM_RUNTIME_HOME to a short directory, such as /tmp/engineroom",
    }));
}

/** Both begin a comment in supervisord's format, which knows no quotes. */
function placeProblems({ plan }: World): readonly Problem[] {
  if (!plan.services.some((service) => service.in === "host")) return [];
  return [plan.places.stackDir, plan.places.runDir]
    .filter((path) => /\s[;#]/.test(path))
    .map((path) => ({
      code: "PLACE_PATH",
      where: path,
      expected: "a path without ` #` and ` ;`, which supervisord would take for comments",
      got: "one with them",
      fix: "set ENGINEROOM_STATE_HOME and ENGINEROOM_RUNTIME_HOME to other directories",
    }));
}

function secretProblems({ plan }: World): readonly Problem[] {
  return Object.entries(plan.secrets).flatMap(([name, secret]) => {
    if (secret.from === "env" && secret.required && !process.env[secret.variable]) {
      return {
        code: "SECRET_UNSET",
        where: `secrets.${name}`,
        expected: `the variable ${secret.variable} to be set`,
        got: "nothing",
        fix: `export ${secret.variable}=…, or set required: false`,
      };
    }
    if (secret.from !== "file" || !secret.required) return [];
    const trouble = fileTrouble(secret.path);
    return trouble === undefined
      ? []
      : {
          code: "SECRET_FILE",
          where: `secrets.${name}.file`,
          expected: `a file that can be read at ${secret.path}`,
          got: trouble,
          fix: `create it with mode 0600, owned by the user that runs engineroom`,
        };
  });
}

function fileTrouble(path: string): string | undefined {
  try {
    if (!lstatSync(path).isFile()) return "no regular file";
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "no such file" : code === "EACCES" ? "no permission to read it" : String(code);
  }
}

async function portProblems(world: World): Promise<readonly Problem[]> {
  const { plan, seen } = world;
  const listeners = await listenersOn(plan.services.flatMap((service) => service.ports));
  const own = ownProcesses(seen);
  const isForeign = (listener: Listener): boolean => !isOwn(listener, own, plan.places.owner);
  const containers = publishedPorts(
    plan,
    await containersAround(world, [...listeners.values()].flat().some(isForeign)),
  );
  return plan.services.flatMap((service) =>
    service.ports.flatMap(({ port }) => {
      const container = containers.get(port);
      // The engine's own proxy listens for it, or nobody does and the kernel hands its packets on.
      if (container) return container.isOwn ? [] : [portTaken(service, port, container.words)];
      const stranger = listeners.get(port)?.find(isForeign);
      const behind = plan.services.find(({ external }) => external?.port === port);
      if (stranger && behind && service.name === RELAY) return [hiddenFromContainers(behind, stranger)];
      return stranger ? [portProblem(service, port, stranger)] : [];
    }),
  );
}

/**
 * What supervisord runs, and what is left of recorded starts when it died: nginx and Valkey overwrite the environment
 * that would show their owner.
 */
function ownProcesses(seen: World["seen"]): ReadonlySet<number> {
  const roots = [...seen.services.values()].flatMap(({ program, history }) => [
    ...(program && program.pid > 0 ? [program.pid] : []),
    ...history.starts.filter(lives).map((start) => start.pid),
  ]);
  const stats = processStats();
  return new Set(roots.flatMap((root) => treeOf(root, stats)));
}

/** Left over from a supervisord that died; apply.py ends it by full proof. */
function isOwn({ process: owner }: Listener, own: ReadonlySet<number>, stackOwner: string): boolean {
  if (!owner) return false;
  return own.has(owner.pid) || instanceOf(owner.pid)?.startsWith(`${stackOwner} `) === true;
}

function instanceOf(pid: number): string | undefined {
  try {
    const variables = readText(`/proc/${pid}/environ`)?.split("\0") ?? [];
    return variables.find((variable) => variable.startsWith("ENGINEROOM_INSTANCE="))?.split("=")[1];
  } catch {
    return undefined;
  }
}

/**
 * A stack without containers has not looked at the engine; where a port is taken it may be by one of another stack, whose
 * proxy is a process of root.
 */
async function containersAround({ seen, engineHost }: World, isTaken: boolean): Promise<readonly ContainerSummary[]> {
  if (seen.engine.state === "running") return seen.engine.containers;
  if (seen.engine.state === "down" || !isTaken) return [];
  const { lookAtEngine } = await import("#observe/docker.ts");
  return lookAtEngine(engineHost).then(
    ({ containers }) => containers,
    () => [],
  );
}

/** Ports of this host that lead into a container. */
function publishedPorts(plan: World["plan"], containers: readonly ContainerSummary[]) {
  return new Map(
    containers.flatMap(({ name, image, labels, ports }) => {
      const owner = labels["engineroom.owner"];
      const of = owner === undefined ? "" : `, which belongs to engineroom stack ${owner}`;
      const published = { isOwn: owner === plan.places.owner, words: `container ${name} (${image})${of}` };
      return ports.map((port) => [port, published] as const);
    }),
  );
}

function portProblem(service: ServicePlan, port: number, { process: owner, user }: Listener): Problem {
  const stack = owner && instanceOf(owner.pid)?.split(" ")[0];
  const who = owner ? `process ${owner.pid} (${owner.command}) of user ${user}` : `a process of user ${user}`;
  return portTaken(service, port, stack ? `${who}, which belongs to engineroom stack ${stack}` : who);
}

/** On every address of this host, where the relay would listen for containers, there is the server itself. */
const hiddenFromContainers = ({ name }: ServicePlan, { host }: Listener): Problem => ({
  code: "EXTERNAL_HOST",
  where: `services.${name}.host`,
  expected: "an address that containers reach: this server listens on every address of this host",
  got: `loopback, and it listens on ${/^0+$/.test(host) ? "::" : host}`,
  fix: `set services.${name}.host to an address of this host, other than loopback`,
});

const portTaken = ({ name }: ServicePlan, port: number, got: string): Problem => ({
  code: "PORT_TAKEN",
  where: `services.${name}.port`,
  expected: `port ${port} to be free`,
  got,
  fix: `end that program yourself, or set services.${name}.port to another number`,
});

/** Set-up gets what is not there. */
const isFetched = ({ path, source }: ModelPlan): boolean =>
  source !== undefined && lstatSync(path, { throwIfNoEntry: false }) === undefined;

/** Of services that are required; what is wrong with those of others, `leftOut` tells. */
async function modelProblems(world: World): Promise<readonly Problem[]> {
  const models = world.plan.services.filter(({ required }) => required).flatMap(modelFilesOf);
  const distinct = new Map(models.map((model) => [model.name, model]));
  const looks = await Promise.all([...distinct.values()].map((model) => modelProblem(model, world)));
  return looks.flatMap((problem) => problem ?? []);
}

/** Services that are not required, and whose model or GPU cannot be used: the others go on without them. */
export async function leftOut(world: World): Promise<ReadonlyMap<string, Problem>> {
  const looks = world.plan.services
    .filter(({ required }) => !required)
    .map(async (service) => {
      const problems = await Promise.all([
        ...modelFilesOf(service).map((model) => modelProblem(model, world)),
        world.gpus && gpuProblemOf(service, world.gpus),
      ]);
      return problems.flatMap((problem) => (problem ? [[service.name, problem] as const] : []));
    });
  return new Map((await Promise.all(looks)).flat());
}

/** Loaded where a service asks for a GPU. */
const gpuProblemOf = (service: ServicePlan, seen: GpusSeen): Promise<Problem | undefined> =>
  import("./gpu.ts").then(({ gpuProblem }) => gpuProblem(service, seen));

async function modelProblem(model: ModelPlan, { context }: World): Promise<Problem | undefined> {
  const outcome = await inspectModelFile(model, {
    level: "quick",
    cacheFile: `${context.host.cacheDir}/model-hashes.json`,
  });
  if (outcome.status !== "failed") return undefined;
  return {
    code: "MODEL_FILE",
    where: `models.${model.name}`,
    expected: "a whole GGUF file",
    got: outcome.reason,
    fix: isFetched(model) ? "./engineroom models fetch" : (outcome.fix ?? "bring the file again"),
  };
}

/** Flags differ from build to build, and an unknown one ends the server. */
async function flagProblems({ plan, context, hostPlans }: World): Promise<readonly Problem[]> {
  const cacheFile = `${context.host.cacheDir}/llama-flags.json`;
  const looks = plan.services
    .filter(({ kind }) => kind === "llama-server")
    .map(async (service): Promise<readonly Problem[]> => {
      const { name, argv, container } = service;
      if (container) {
        const flags = await flagsOfImage(container.image.reference, cacheFile);
        return flags ? judgeFlags(service, flags, `of ${container.image.reference}`) : [];
      }
      const [path = ""] = argv;
      if (!isExecutable(path)) return [];
      const { PATH = [], LD_LIBRARY_PATH = [] } = hostPlans.get(name)?.launch.env ?? {};
      const env = { PATH: printable(PATH), LD_LIBRARY_PATH: printable(LD_LIBRARY_PATH) };
      const found = await flagsOfProgram(path, env, cacheFile);
      if ("flags" in found) return judgeFlags(service, found.flags, context.tools["llama-server"]?.version ?? "");
      return [
        {
          code: "PROGRAM_BROKEN",
          where: `services.${name}`,
          expected: `${path} to start`,
          got: found.broken,
          fix: "bring the library that it names, or ./engineroom setup",
        },
      ];
    });
  return (await Promise.all(looks)).flat();
}

async function diskProblems({ plan, context }: World): Promise<readonly Problem[]> {
  const places = new Map([
    ["state", plan.places.stateDir],
    ["cache", context.host.cacheDir],
  ]);
  const looks = [...places].map(async ([name, path]): Promise<readonly Problem[]> => {
    const free = await freeBytes(path);
    if (free >= DISK_BYTES) return [];
    return [
      {
        code: "DISK_FULL",
        where: path,
        expected: `at least ${DISK_BYTES / 2 ** 20} MiB free in the ${name} directory`,
        got: `${Math.floor(free / 2 ** 20)} MiB`,
        fix: `free some space there (df -h ${path}), or set ENGINEROOM_${name.toUpperCase()}_HOME to another disk`,
      },
    ];
  });
  return (await Promise.all(looks)).flat();
}
