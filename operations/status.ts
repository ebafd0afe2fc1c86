import { existsSync } from "node:fs";
import type { Outcome } from "#checks/check.ts";
import { containerUptime } from "#checks/contained.ts";
import { insideContainer } from "#checks/inside-container.ts";
import { insideHost } from "#checks/inside.ts";
import { lives, processStats, treeOf } from "#checks/process-tree.ts";
import { runCheck, START_LINES } from "#checks/run.ts";
import { uptimeOf } from "#checks/supervised.ts";
import { containerLog } from "#observe/container-log.ts";
import { modelWaitFile, readModelWait } from "#observe/model-wait.ts";
import type { ServiceSeen } from "#observe/observe.ts";
import { readTail } from "#observe/records.ts";
import { lookAround, type Opened, type World } from "#observe/world.ts";
import { serviceHome } from "#runtime/host-plan.ts";
import { complaintsOf, type PlannedPort, type ServicePlan } from "#stack/plan.ts";
import type { StackConfig } from "#stack/sections.ts";
import { printable, secretsIn } from "#stack/text.ts";
import { isReady, judgeState, type State } from "./judge-state.ts";
import { cgroupMemory, memoryOf } from "./memory.ts";
import { markedProcesses } from "./processes.ts";

/** How a stack is: what `status --json` prints. */
export interface StackStatus {
  readonly stack: string;
  /** Every enabled, required service does its work. */
  readonly ready: boolean;
  readonly services: readonly ServiceStatus[];
}

export interface ServiceStatus {
  readonly name: string;
  readonly kind: string;
  readonly in: string;
  readonly state: State;
  readonly ready: boolean;
  readonly reason: string | null;
  /** Null where it has none, or where it holds a password. */
  readonly url: string | null;
  readonly containerId: string | null;
  readonly pid: number | null;
  readonly ports: readonly PlannedPort[];
  /** Of its whole process tree, proportional set size. */
  readonly memoryBytes: number | null;
  /** By itself, since `up` last started it. */
  readonly restarts: number;
  /** ISO 8601: its last start or, if it does not run, its end. */
  readonly since: string | null;
}

/** A service with what its check found. */
export interface CheckedService extends ServiceStatus {
  readonly required: boolean;
  /** The check's own words where it succeeded. */
  readonly detail: string | null;
}

export interface LookOptions {
  /** Services whose check does its full unit of work; the others' stop before work that would queue. */
  readonly full: ReadonlySet<string>;
  /** Limit of each check's one attempt. */
  readonly attemptMs: number;
}

/** One look at every enabled service, with one attempt of its check. */
export async function lookAtServices(opened: Opened, options: LookOptions): Promise<readonly CheckedService[]> {
  const world = await lookAround(opened);
  const stats = processStats();
  const jobs = runningJobs(world);
  const looks = await Promise.all(
    opened.plan.services.map(async (plan) => {
      const seen = seenOf(world, plan);
      const pid =
        plan.in === "container"
          ? (seen.container?.pid ?? 0)
          : plan.run === "job"
            ? (jobs.get(plan.name) ?? 0)
            : mainPid(world, seen);
      const tree = pid === 0 ? [] : treeOf(pid, stats);
      const [outcome, memoryBytes] = await Promise.all([
        attempt(plan, seen, tree, { ...opened, ...options }),
        tree.length === 0 ? undefined : seen.container ? cgroupMemory(pid) : memoryOf(tree),
      ]);
      return { plan, seen, pid, outcome, memoryBytes };
    }),
  );
  const states = new Map<string, State>();
  return looks.map((look) => {
    const { plan, seen, outcome } = look;
    const judged = judgeState({
      ...look,
      supervisor: world.seen.supervisor,
      engine: world.seen.engine,
      drift: world.drift.services.get(plan.name),
      unmet: plan.needs.filter((need) => !isReady(states.get(need) ?? "missing")),
      modelWait: plan.model && readModelWait(modelWaitFile(opened.plan.places, plan.name)),
      dataRenewed: isRenewed(seen, world),
      applied: hasBegun(plan, seen, opened),
      now: Date.now() / 1000,
    });
    states.set(plan.name, judged.state);
    const url = plan.outputs["url"];
    return {
      name: plan.name,
      kind: plan.kind,
      in: plan.in,
      state: judged.state,
      ready: isReady(judged.state),
      reason: judged.reason ?? null,
      url: url && secretsIn(url).length === 0 ? printable(url) : null,
      containerId: seen.container?.id ?? null,
      pid: look.pid === 0 ? null : look.pid,
      ports: plan.external ? [plan.external] : plan.ports,
      memoryBytes: look.memoryBytes ?? null,
      restarts: seen.container?.restarts ?? seen.history.restarts,
      since: isoTime(sinceOf(seen, look.pid)),
      required: plan.required,
      detail: outcome?.status === "ready" ? outcome.detail : null,
    };
  });
}

const hasBegun = ({ name, in: place }: ServicePlan, seen: ServiceSeen, { plan }: Opened): boolean =>
  place === "container" ? seen.container !== undefined : existsSync(`${serviceHome(plan.places, name)}/launch.json`);

function seenOf({ seen }: World, { name }: ServicePlan): ServiceSeen {
  const found = seen.services.get(name);
  if (!found) throw new Error(`${name} was not looked at`);
  return found;
}

/** supervisord's child or, without supervisord, what is left of the last start. */
function mainPid({ seen: { supervisor } }: World, { program, history }: ServiceSeen): number {
  if (supervisor.state !== "down") return program?.pid ?? 0;
  const last = history.starts.at(-1);
  return last && lives(last) ? last.pid : 0;
}

/** Jobs of an `up` under way. A look at every process, so only where a job is not done. */
function runningJobs(world: World): ReadonlyMap<string, number> {
  const { plan, drift } = world;
  const open = new Set(
    plan.services.flatMap(({ name, run, in: place }) =>
      run === "job" && place === "host" && drift.services.has(name) ? [name] : [],
    ),
  );
  if (open.size === 0) return new Map();
  const found = markedProcesses(plan.places.id).filter(
    ({ owner, service }) => owner === plan.places.owner && service !== undefined && open.has(service),
  );
  return new Map(found.map(({ service = "", pid }) => [service, pid]).reverse() as [string, number][]);
}

const isRenewed = ({ done }: ServiceSeen, { seen }: World): boolean =>
  Object.entries(done?.data ?? {}).some(([name, id]) => seen.services.get(name)?.dataId !== id);

async function attempt(
  service: ServicePlan,
  seen: ServiceSeen,
  tree: readonly number[],
  { full, attemptMs, plan, engineHost }: LookOptions & Opened,
): Promise<Outcome | undefined> {
  const { name, check, in: place } = service;
  if (check === undefined || (tree.length === 0 && place !== "external")) return undefined;
  const processTree = () => Promise.resolve(tree);
  const uptime = () =>
    Promise.resolve(
      seen.container ? containerUptime(seen.container) : seen.program && uptimeOf(seen.program, seen.history),
    );
  const inside = seen.container
    ? insideContainer(engineHost, seen.container.id)
    : insideHost(serviceHome(plan.places, name));
  const log = async () =>
    seen.container ? containerLog(seen.container.id, START_LINES) : readTail(complaintsOf(service), START_LINES);
  const context = { processTree, uptime, inside, log, quick: !full.has(name) };
  const report = await runCheck(check, { timeoutMs: 0, attemptMs }, context);
  return report.outcome;
}

function sinceOf({ program, history, done, container }: ServiceSeen, pid: number): number | undefined {
  if (container) return (pid > 0 ? container.startedAt : (done?.at ?? container.endedAt)) || undefined;
  return pid > 0 ? history.since : (done?.at ?? (program?.stoppedAt || undefined));
}

const isoTime = (seconds: number | undefined): string | null =>
  seconds === undefined ? null : new Date(seconds * 1000).toISOString();

/** Services that the stack file switches off. */
export function disabledServices({ plan }: Opened, config: StackConfig): readonly ServiceStatus[] {
  const services = (config.values["engineroom:services"] ?? {}) as Readonly<
    Record<string, { readonly kind?: string; readonly in?: string } | null>
  >;
  const { in: place = "host" } = (config.values["engineroom:settings"] ?? {}) as { readonly in?: string };
  return plan.disabled.map((name) => ({
    name,
    kind: services[name]?.kind ?? "",
    in: services[name]?.in ?? place,
    state: "disabled",
    ready: false,
    reason: null,
    url: null,
    containerId: null,
    pid: null,
    ports: [],
    memoryBytes: null,
    restarts: 0,
    since: null,
  }));
}

/** The stack's own answer: what is not required does not count. */
export const allReady = (services: readonly CheckedService[]): boolean =>
  services.every((service) => service.ready || !service.required);

export function withoutCheck({ required, detail, ...status }: CheckedService): ServiceStatus {
  return status;
}
