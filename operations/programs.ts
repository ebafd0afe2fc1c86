import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { BrokerClient } from "#checks/connections.ts";
import { innermostPid, lives, processIdentity, processStats, treeOf, type ProcessStat } from "#checks/process-tree.ts";
import { LABEL } from "#observe/docker.ts";
import type { HeldConnection, RunningContainer } from "#observe/holders.ts";
import { readStarts, type Start } from "#observe/records.ts";
import { programStates } from "#observe/supervisord.ts";
import type { World } from "#observe/world.ts";
import type { Consumer } from "./judge-workers.ts";
import { commandOf, instanceOf } from "./processes.ts";

/** All processes of this host, and which of them this stack runs. */
export interface Scene {
  readonly world: World;
  readonly stats: readonly ProcessStat[];
  /** Service of each container of this stack, by its id. A label proves none: containers have those of their image. */
  readonly containers: ReadonlyMap<string, string>;
  /** Service of each process that supervisord runs, or a container of this stack. */
  readonly services: ReadonlyMap<number, string>;
  /** Starts on record, of services that the stack file no longer has, too. */
  readonly starts: ReadonlyMap<string, readonly Start[]>;
}

export async function sceneOf(world: World, containers: readonly RunningContainer[]): Promise<Scene> {
  const { places } = world.plan;
  const stats = processStats();
  const programs = world.seen.supervisor.state === "running" ? await programStates(places.supervisorSocket) : [];
  const names = new Map(
    [...world.seen.services].flatMap(([name, { container }]) => (container ? [[container.id, name]] : [])),
  );
  const roots = [
    ...programs.map(({ name, pid }) => [name, pid] as const),
    ...containers.flatMap(({ id, pid }) => {
      const name = names.get(id);
      return name === undefined ? [] : [[name, pid] as const];
    }),
  ];
  return {
    world,
    stats,
    containers: names,
    services: new Map(
      roots.flatMap(([name, root]) => (root === 0 ? [] : treeOf(root, stats).map((pid) => [pid, name] as const))),
    ),
    starts: new Map(
      directoriesIn(places.servicesDir).map((name) => [name, readStarts(`${places.servicesDir}/${name}`)]),
    ),
  };
}

function directoriesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** One program that has connections to a broker. */
export interface Program {
  /** Its first process; undefined where it may not be looked into, or is on another machine. */
  readonly root: number | undefined;
  readonly container: RunningContainer | undefined;
  readonly address: string;
  /** Its connections as the broker lists them; none where a proxy hides them. */
  readonly clients: readonly BrokerClient[];
  /** PIDs under which its processes know themselves. */
  readonly ownPids: ReadonlySet<number>;
}

/** Connections by the program that holds them; those of this very process are left out. */
export function programsOf(connections: readonly HeldConnection[], scene: Scene): readonly Program[] {
  const groups = Map.groupBy(
    connections
      .filter(({ pid }) => pid !== process.pid)
      .map((held) => ({ ...held, root: held.pid === undefined ? undefined : rootOf(held.pid, scene) })),
    ({ root, container, address }) => root ?? container?.id ?? hostIn(address),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const { root, container } = first;
    return {
      root,
      container,
      address: group.length === 1 ? first.address : hostIn(first.address),
      clients: group.flatMap(({ client }) => client ?? []),
      ownPids: new Set(root === undefined ? [] : treeOf(root, scene.stats).map(innermostPid)),
    };
  });
}

const hostIn = (address: string): string => address.slice(0, address.lastIndexOf(":"));

/**
 * The first process of a program: the topmost one that runs the same file, of the same service or process group, so
 * that neither the shell nor the supervisor above counts.
 */
function rootOf(pid: number, { stats, services }: Scene): number {
  const byPid = new Map(stats.map((stat) => [stat.pid, stat]));
  const file = fileOf(pid);
  for (let root = pid; ;) {
    const stat = byPid.get(root);
    const parent = stat && byPid.get(stat.parent);
    if (!stat || !parent || fileOf(parent.pid) !== file) return root;
    const service = services.get(root);
    const belongs = service === undefined ? parent.group === stat.group : services.get(parent.pid) === service;
    if (!belongs) return root;
    root = parent.pid;
  }
}

/** Programs of an environment have long names. */
const COMMAND_LIMIT = 400;

export function consumerOf({ root, container, address }: Program, scene: Scene): Omit<Consumer, "framework"> {
  const place = {
    container: container ? { id: container.id, name: container.name, image: container.image } : null,
    address,
  };
  const label = container?.labels[LABEL.owner];
  if (root === undefined) {
    const service = scene.containers.get(container?.id ?? "") ?? null;
    const owner = service === null ? "foreign" : "own";
    const unknown = { pid: null, processes: 1, command: null, cwd: null, startedAt: null };
    return { ...unknown, ...place, owner, service, claims: (service === null ? label : null) ?? null };
  }
  const own = scene.services.get(root);
  const left = own === undefined ? leftBy(root, scene) : undefined;
  const service = own ?? left ?? null;
  const file = fileOf(root);
  return {
    ...place,
    owner: own !== undefined ? "own" : left !== undefined ? "left-over" : "foreign",
    service,
    pid: root,
    processes: treeOf(root, scene.stats).filter((pid) => fileOf(pid) === file).length,
    command: commandOf(root, COMMAND_LIMIT) || null,
    cwd: linkOf(root, "cwd") ?? null,
    startedAt: startOf(root, scene),
    claims: service === null ? (label ?? instanceOf(root)?.split(" ")[0] ?? null) : null,
  };
}

/**
 * The service that has left this process behind, by full proof (docs/host-services.md): it is the process of a start on
 * record, or in the process group of one, which only descendants can join, and bears that start's token.
 */
function leftBy(pid: number, { stats, starts, world }: Scene): string | undefined {
  const stat = stats.find((one) => one.pid === pid);
  const boot = processIdentity(pid)?.bootId;
  const { owner } = world.plan.places;
  const isOf = (start: Start): boolean => {
    if (stat?.group !== start.pid || boot !== start.boot || stat.startTime < start.start) return false;
    return lives(start) || (pid !== start.pid && instanceOf(pid) === `${owner} ${start.token}`);
  };
  return [...starts].find(([, all]) => all.some(isOf))?.[0];
}

/** Kernel ticks of a second, on every machine that this runs on. */
const TICKS = 100;

function startOf(pid: number, { stats }: Scene): string | null {
  const booted = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]);
  const ticks = stats.find((stat) => stat.pid === pid)?.startTime;
  return ticks === undefined ? null : new Date((booted + ticks / TICKS) * 1000).toISOString();
}

/** The program file; undefined where it may not be looked at. */
const fileOf = (pid: number): string | undefined => linkOf(pid, "exe");

function linkOf(pid: number, name: "exe" | "cwd"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return undefined;
  }
}
