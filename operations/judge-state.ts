import type { Outcome } from "#checks/check.ts";
import type { ModelWait } from "#observe/model-wait.ts";
import type { EngineState, ServiceSeen, SupervisorSeen } from "#observe/observe.ts";
import { isLaunched } from "#observe/records.ts";
import type { ProgramState } from "#observe/supervisord.ts";
import { clock, containerEnd, containerTrouble, programDrift, shortId } from "#stack/drift.ts";
import type { ServicePlan } from "#stack/plan.ts";

/** What a service can be; docs/commands.md says it in words. */
export type State =
  | "ready"
  | "starting"
  | "waiting"
  | "degraded"
  | "unhealthy"
  | "failed"
  | "stopped"
  | "done"
  | "disabled"
  | "missing"
  | "external";

/** All that was found out about one service. */
export interface Evidence {
  readonly plan: Pick<ServicePlan, "in" | "run" | "restart" | "readyTimeoutMs" | "memoryBytes">;
  readonly supervisor: SupervisorSeen;
  readonly engine: Pick<EngineState, "state">;
  readonly seen: Pick<ServiceSeen, "program" | "appliedPlan" | "history" | "done" | "container" | "stranger" | "noted">;
  /** Why `up` would make it so again. */
  readonly drift: string | undefined;
  /** Its own process, or that of its job: 0 when none runs. */
  readonly pid: number;
  /** Of its own check; undefined where it has none, or where nothing runs. */
  readonly outcome: Outcome | undefined;
  /** Services that it needs and that are not ready. */
  readonly unmet: readonly string[];
  /** An `up` under way waits for its model. */
  readonly modelWait: ModelWait | undefined;
  /** Of a job: the data that it ran on is not what is there now. */
  readonly dataRenewed: boolean;
  /** An apply has begun: its files are there. */
  readonly applied: boolean;
  /** Of its whole process tree. */
  readonly memoryBytes: number | undefined;
  /** Unix seconds. */
  readonly now: number;
}

export interface Judged {
  readonly state: State;
  /** Undefined where the state says it all. */
  readonly reason?: string;
}

/** Restarts within this time, from which on a service that answers is no healthy one. */
const RESTARTS_SECONDS = 600;
const RESTARTS_LIMIT = 3;
/** Exit code of launch.py when it gives up (runtime/host-plan.ts), after which nothing is started again. */
const GAVE_UP = 78;

const READY: ReadonlySet<State> = new Set<State>(["ready", "done", "degraded", "external"]);

/** It does its work: a degraded service does, too, and one of somebody else's. */
export const isReady = (state: State): boolean => READY.has(state);

export function judgeState(evidence: Evidence): Judged {
  const { plan, supervisor, modelWait, now } = evidence;
  if (plan.in === "external") return judgeExternal(evidence);
  if (modelWait && evidence.pid === 0) {
    return {
      state: "waiting",
      reason: `${modelWait.reason} (${Math.max(0, Math.round(modelWait.until - now))} s left)`,
    };
  }
  if (plan.in === "container") return judgeInContainer(evidence);
  if (supervisor.state === "foreign") {
    return { state: "missing", reason: `its supervisord's socket belongs to ${supervisor.owner || "somebody else"}` };
  }
  if (plan.run === "job") return judgeJob(evidence);
  switch (supervisor.state) {
    case "absent":
      return { state: "missing", reason: "the stack is not up" };
    case "down":
      return judgeOrphan(evidence, supervisor.reason);
    case "running":
      return judgeService(evidence);
  }
}

function judgeExternal({ outcome }: Evidence): Judged {
  if (outcome?.status === "ready") return { state: "external" };
  return { state: "unhealthy", reason: `${outcome?.reason ?? "it was not asked"} (external: not ours to start)` };
}

function judgeInContainer(evidence: Evidence): Judged {
  const { plan, engine, seen, drift } = evidence;
  if (engine.state === "down") return { state: "stopped", reason: "the Docker engine does not answer" };
  if (seen.stranger) {
    return {
      state: "missing",
      reason: `${seen.stranger.name} is a container of somebody else, ${shortId(seen.stranger.id)}`,
    };
  }
  if (plan.run === "job") return judgeJob(evidence);
  const { container } = seen;
  if (!container)
    return { state: "missing", reason: seen.noted ? (drift ?? "its container is gone") : "the stack is not up" };
  const trouble = containerTrouble(container);
  switch (container.state) {
    case "running":
      return judgeRunning(evidence);
    case "restarting":
      return container.restarts < RESTARTS_LIMIT
        ? { state: "starting", reason: `it ended (${containerEnd(container)}) and is started again` }
        : {
            state: "unhealthy",
            reason: `it ended soon after each of ${container.restarts} starts (${containerEnd(container)})`,
          };
    case "created":
      return { state: "missing", ...(trouble !== undefined && { reason: trouble }) };
    case "paused":
    case "removing":
      return { state: "stopped", ...(trouble !== undefined && { reason: trouble }) };
    case "exited":
    case "dead":
      return {
        state: container.exitCode === 0 ? "stopped" : "failed",
        ...(trouble !== undefined && { reason: trouble }),
      };
  }
}

function judgeJob({ seen, drift, pid, applied, dataRenewed }: Evidence): Judged {
  if (pid > 0) return { state: "starting", reason: "it runs" };
  if (seen.done) {
    return drift === undefined ? { state: "done" } : { state: dataRenewed ? "missing" : "degraded", reason: drift };
  }
  return applied
    ? { state: "failed", reason: "its last run did not succeed" }
    : { state: "missing", reason: "it has not run yet" };
}

/** Without supervisord nobody restarts what still runs, and the next `up` ends it. */
function judgeOrphan(evidence: Evidence, reason: string): Judged {
  const down = `supervisord does not answer (${reason})`;
  if (evidence.pid === 0) return { state: "stopped", reason: down };
  const judged = judgeRunning(evidence);
  const words = [judged.reason, down].filter((part) => part !== undefined).join("; ");
  return { state: judged.state === "ready" ? "degraded" : judged.state, reason: words };
}

function judgeService(evidence: Evidence): Judged {
  const { plan, seen } = evidence;
  const { program, history } = seen;
  const trouble = programDrift(plan, seen);
  if (!program) return { state: "missing", ...(trouble !== undefined && { reason: trouble }) };
  switch (program.state) {
    case "RUNNING":
      return isLaunched(program, history.starts) ? judgeRunning(evidence) : judgeWaiting(evidence);
    case "STARTING":
    case "BACKOFF":
      return { state: "starting", reason: "supervisord starts it" };
    case "STOPPING":
      return { state: "stopped", reason: "it is being stopped" };
    case "STOPPED":
      return { state: "stopped", ...(trouble !== undefined && { reason: trouble }) };
    case "FATAL":
    case "UNKNOWN":
      return { state: "failed", ...(trouble !== undefined && { reason: trouble }) };
    case "EXITED":
      if (history.gaveUpAt === undefined && comesBack(plan.restart, program.exitStatus)) {
        return { state: "starting", reason: "it ended and is started again" };
      }
      return { state: endedWell(program) ? "stopped" : "failed", ...(trouble !== undefined && { reason: trouble }) };
  }
}

const comesBack = (restart: ServicePlan["restart"], exitStatus: number): boolean =>
  exitStatus !== GAVE_UP && (restart === "always" || (restart === "on-failure" && exitStatus !== 0));

const endedWell = ({ exitStatus }: ProgramState): boolean => exitStatus === 0;

function judgeWaiting({ seen, unmet }: Evidence): Judged {
  const starts = seen.history.starts.length;
  if (unmet.length > 0) return { state: "waiting", reason: `for ${unmet.join(", ")}` };
  if (starts === 0) return { state: "starting", reason: "it is about to start" };
  const ends = starts === 1 ? "it ended soon after its start" : `it ended soon after each of ${starts} starts`;
  return { state: "waiting", reason: `to start again: ${ends}` };
}

function judgeRunning(evidence: Evidence): Judged {
  const { plan, seen, outcome, now } = evidence;
  if (outcome !== undefined && outcome.status !== "ready") {
    const age = now - (seen.container?.startedAt ?? seen.history.since ?? now);
    const early = outcome.status === "pending" && age * 1000 < plan.readyTimeoutMs;
    return { state: early ? "starting" : "unhealthy", reason: [outcome.reason, ...blemishes(evidence)].join("; ") };
  }
  const found = blemishes(evidence);
  return found.length === 0 ? { state: "ready" } : { state: "degraded", reason: found.join("; ") };
}

/** What is wrong with a service that runs, besides its answers. */
function blemishes({ plan, supervisor, seen, drift, memoryBytes, outcome, now }: Evidence): readonly string[] {
  const limit = plan.memoryBytes;
  return [
    ...(outcome?.status === "ready" && outcome.degraded !== undefined ? [outcome.degraded] : []),
    ...(drift !== undefined && (seen.container || supervisor.state === "running") ? [drift] : []),
    ...restartWords(seen, now),
    ...(limit !== undefined && memoryBytes !== undefined && memoryBytes > limit
      ? [`uses ${mebibytes(memoryBytes)}, more than its \`memory\` of ${mebibytes(limit)}`]
      : []),
  ];
}

function restartWords({ container, history }: Evidence["seen"], now: number): readonly string[] {
  if (container) {
    // The engine counts them all, and knows when the last one was.
    const isRecent = now - container.startedAt < RESTARTS_SECONDS && container.restarts >= RESTARTS_LIMIT;
    return isRecent ? [`restarted ${container.restarts} times, last at ${clock(container.startedAt)}`] : [];
  }
  const recent = history.starts.slice(1).filter((start) => now - start.at < RESTARTS_SECONDS).length;
  return recent >= RESTARTS_LIMIT ? [`restarted ${recent} times in the last 10 minutes`] : [];
}

/** `0.3 MiB`, `171 MiB` */
export function mebibytes(bytes: number): string {
  const size = bytes / 2 ** 20;
  return `${size < 9.95 ? size.toFixed(1) : size.toFixed(0)} MiB`;
}
