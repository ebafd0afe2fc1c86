import { statSync } from "node:fs";
import { gpuProblems, gpuServices, lackOf } from "#checks/gpu.ts";
import { lookAt } from "#checks/model-look.ts";
import { shardPaths } from "#checks/model-parts.ts";
import { processStats, treeOf } from "#checks/process-tree.ts";
import { budgetWords, estimateLoad, memoryPlan, type GpuBudget, type GpuNeed, type ModelFacts } from "#checks/vram.ts";
import type { GpuProcess, GpusSeen } from "#observe/gpu.ts";
import type { World } from "#observe/world.ts";
import { gpuWords } from "#stack/gpu.ts";
import type { ModelLoad, ModelPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";

/** What is in the way of services that must have a GPU. Changes nothing. */
export async function gpuPreflight(world: World): Promise<readonly Problem[]> {
  const { plan, gpus } = world;
  if (!gpus) return [];
  const missing = gpuProblems(plan, gpus);
  const budgets = await gpuBudgets(world, gpus);
  return [...missing, ...budgets.filter(({ verdict }) => verdict === "too much").map(memoryProblem)];
}

const memoryProblem = (budget: GpuBudget): Problem => ({
  code: "GPU_MEMORY",
  where: `memory of GPU ${budget.gpu.index}`,
  expected: "room for what is to lie there",
  got: budgetWords(budget),
  fix: "take a smaller model, context or `gpuLayers`, put services on other cards by `uuids`, or end what else uses it (nvidia-smi)",
});

/** Each card that the stack uses, and what is to lie in its memory; empty where there are none. */
export async function gpuBudgets(world: World, seen: GpusSeen): Promise<readonly GpuBudget[]> {
  const { look } = seen;
  if (look.state === "none") return [];
  const needs = await Promise.all(
    gpuServices(world.plan)
      .filter((service) => !lackOf(service.gpu, service.in, seen))
      .map(async ({ name, gpu, loads }): Promise<GpuNeed> => {
        const facts = await Promise.all(
          (loads?.models ?? []).map(async (load) => ({ load, facts: await factsOf(load, world) })),
        );
        return {
          service: name,
          gpu,
          estimates: facts.flatMap(({ load, facts }) => (facts ? estimateLoad(load, facts) : [])),
          atOnce: loads?.atOnce ?? 0,
          isPartial: loads === undefined || facts.some(({ facts }) => facts === undefined),
        };
      }),
  );
  return memoryPlan(needs, look.gpus, ownMemory(world, look.processes));
}

/** Undefined where the file cannot be read, which is told by itself, or is nowhere yet. */
async function factsOf({ file }: ModelLoad, { context }: World): Promise<ModelFacts | undefined> {
  if (!file) return undefined;
  const cacheFile = `${context.host.cacheDir}/model-hashes.json`;
  const parts = shardPaths(file.path);
  if ("outcome" in parts) return undefined;
  const looks = await Promise.all(parts.paths.map((path) => lookAt(path, cacheFile)));
  const headers = looks.flatMap((look) =>
    look.state === "file" && look.gguf.status === "good" ? look.gguf.header : [],
  );
  return headers.length === looks.length ? { headers, mmprojBytes: mmprojBytes(file) } : undefined;
}

const mmprojBytes = ({ mmproj }: ModelPlan): number =>
  mmproj === undefined ? 0 : (statSync(mmproj, { throwIfNoEntry: false })?.size ?? 0);

/** What the stack's own processes take, by card. */
function ownMemory({ seen }: World, processes: readonly GpuProcess[]): ReadonlyMap<string, number> {
  const roots = [...seen.services.values()].flatMap(({ program, container }) => [
    ...(program && program.pid > 0 ? [program.pid] : []),
    ...(container && container.pid > 0 ? [container.pid] : []),
  ]);
  const stats = processStats();
  const own = new Set(roots.flatMap((root) => treeOf(root, stats)));
  const taken = new Map<string, number>();
  for (const { uuid, pid, bytes = 0 } of processes) {
    if (own.has(pid)) taken.set(uuid, (taken.get(uuid) ?? 0) + bytes);
  }
  return taken;
}

/** What is to be said of services that go on all the same, by service. */
export async function gpuWarnings(world: World, seen: GpusSeen): Promise<ReadonlyMap<string, readonly string[]>> {
  const warnings = new Map<string, string[]>();
  const warn = (service: string, words: string) => warnings.set(service, [...(warnings.get(service) ?? []), words]);
  for (const { name, gpu, in: place } of gpuServices(world.plan)) {
    const lack = lackOf(gpu, place, seen);
    if (lack && !gpu.required)
      warn(name, `${name}: runs on the CPU; it asks for ${gpuWords(gpu)}, and there is ${lack.got}`);
  }
  for (const budget of await gpuBudgets(world, seen)) {
    const [first] = budget.shares;
    if (budget.verdict === "tight" && first) warn(first.need.service, `memory may get short: ${budgetWords(budget)}`);
  }
  return warnings;
}
