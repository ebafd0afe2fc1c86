import { processStats, treeOf } from "#checks/process-tree.ts";
import { supervisorPid } from "#observe/supervisord.ts";
import { LABEL } from "#observe/docker.ts";
import type { World } from "#observe/world.ts";
import { shortId } from "#stack/drift.ts";
import type { Problem } from "#stack/problems.ts";
import { stackLocks } from "./locks.ts";
import { commandOf, markedProcesses, type MarkedProcess } from "./processes.ts";

/**
 * Processes that carry this project's mark and that no plan knows: of a service that the file no longer has, of a
 * program that left its supervisord, of a stack without a file. Nothing is ended by this.
 */
export async function leftovers(world: World, stacks: readonly string[]): Promise<readonly Problem[]> {
  const { places } = world.plan;
  const marked = markedProcesses(places.id);
  const own = marked.filter(({ owner }) => owner === places.owner);
  // While an `up` is under way, its jobs run beside supervisord.
  const isBusy = stackLocks(places).some((lock) => lock.alive);
  const strays = isBusy ? [] : await straysOf(world, own);
  const orphaned = marked.filter(({ owner }) => !stacks.includes(owner.slice(places.id.length + 1)));
  return [...strays, ...stacksWithoutFile(orphaned), ...(isBusy ? [] : strayContainers(world, stacks))];
}

/** Containers of this project that no plan knows: of a service that the file no longer has, of a stack without a file. */
function strayContainers({ plan, seen }: World, stacks: readonly string[]): readonly Problem[] {
  if (seen.engine.state !== "running") return [];
  const { places } = plan;
  const names = new Set(plan.services.map((service) => service.container?.name));
  return seen.engine.containers.flatMap(({ id, name, labels }) => {
    const owner = labels[LABEL.owner] ?? "";
    const stack = owner.slice(places.id.length + 1);
    if (!owner.startsWith(`${places.id}/`)) return [];
    const isOwn = owner === places.owner;
    if (isOwn ? names.has(name) : stacks.includes(stack)) return [];
    return {
      code: "LEFTOVER",
      where: `container ${name} (${shortId(id)})`,
      expected: isOwn ? "a service of this stack" : "a stack file for what runs",
      got: isOwn ? `${labels[LABEL.service] ?? "one"}, which the stack file does not have` : `none for stack ${owner}`,
      fix: isOwn
        ? "./engineroom up takes it down; if it stays, docker rm it"
        : `put the file back, then ./engineroom --stack ${stack} destroy`,
    };
  });
}

/** While supervisord is down, all that runs is left over, and `up` deals with it; that is reported as one problem. */
async function straysOf({ seen, plan }: World, own: readonly MarkedProcess[]): Promise<readonly Problem[]> {
  if (seen.supervisor.state !== "running") return own.length === 0 ? [] : [abandoned(own)];
  const supervised = new Set(treeOf(await supervisorPid(plan.places.supervisorSocket), processStats()));
  const names = new Set(plan.services.map((service) => service.name));
  const isPlanned = ({ pid, service }: MarkedProcess): boolean =>
    supervised.has(pid) && (service === undefined || names.has(service));
  return heads(own.filter((process) => !isPlanned(process))).map((process) => stray(process, supervised));
}

function stray({ pid, service = "supervisord" }: MarkedProcess, supervised: ReadonlySet<number>): Problem {
  const isUnplanned = supervised.has(pid);
  return {
    code: "LEFTOVER",
    where: `process ${pid}`,
    expected: isUnplanned ? "a service of this stack" : "supervisord to run it",
    got: `${commandOf(pid)}, started for ${service}${isUnplanned ? ", which the stack file does not have or has disabled" : ""}`,
    fix: isUnplanned ? "./engineroom up takes it down" : `see that nothing needs it, then: kill ${pid}`,
  };
}

/** Of a process and its children only the process itself. */
function heads(processes: readonly MarkedProcess[]): readonly MarkedProcess[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  return processes.filter(({ parent }) => !pids.has(parent));
}

const abandoned = (own: readonly MarkedProcess[]): Problem => ({
  code: "LEFTOVER",
  where: `processes ${own.map(({ pid }) => pid).join(", ")}`,
  expected: "supervisord to run them",
  got: `none that answers, and they still run (${[...new Set(own.map(({ service = "supervisord" }) => service))].join(", ")})`,
  fix: "./engineroom up ends them and starts all anew; ./engineroom destroy ends them",
});

const stacksWithoutFile = (processes: readonly MarkedProcess[]): readonly Problem[] =>
  [...Map.groupBy(processes, ({ owner }) => owner)].map(([owner, all]) => ({
    code: "LEFTOVER",
    where: `stack ${owner}`,
    expected: "a stack file for what runs",
    got: `none, and of it run processes ${all.map(({ pid }) => pid).join(", ")}`,
    fix: `put the file back, then ./engineroom --stack ${owner.split("/").at(-1) ?? owner} destroy`,
  }));
