import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Uptime } from "#checks/alive.ts";
import { failed, pending, ready, type Check, type Outcome, type Probe } from "#checks/check.ts";
import { insideContainer } from "#checks/inside-container.ts";
import { processTree } from "#checks/process-tree.ts";
import { probeOf, START_LINES } from "#checks/run.ts";
import { containerLog } from "#observe/container-log.ts";
import { inspectContainer, volumeDataId, type ContainerSeen } from "#observe/docker.ts";
import { readText } from "#observe/records.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import { askEngine, engineHost } from "#setup/docker-api.ts";
import { containerEnd } from "#stack/drift.ts";

/** Starts after which waiting longer is pointless. */
const CRASHES = 3;
/** After so long a start has succeeded, as the engine sees it, too. */
const SETTLED_SECONDS = 10;
/** Ctrl-C leaves a run 10 s in all. */
const STOP_SECONDS = 2;

/** What is waited for in a container; providers/resources.ts has the whole. */
interface Contained {
  readonly check?: Check;
  /** Its id. */
  readonly token: string;
  readonly container: {
    readonly home: string;
    readonly spec: string;
    readonly volume?: string;
    readonly job?: {
      readonly plan: string;
      readonly doneFile: string;
      readonly data: Readonly<Record<string, string>>;
    };
  };
}

/**
 * Notes the container that the engine made, so that another one of its name is known for what it is, and asks only
 * while it runs. A job is asked for nothing: it is to end well.
 */
export async function contained({ check, token, container }: Contained): Promise<Probe> {
  const host = engineHost(process.env);
  const earlier = earlierRestarts(await note(host, token, container));
  const look = () => inspectContainer(host, token);
  if (check === undefined) return async () => noteDone(container, judgeJob(await look()));
  const probe = probeOf(check, {
    processTree: async () => processesOf(await look()),
    uptime: async () => containerUptime(await look()),
    inside: insideContainer(host, token),
    log: () => containerLog(token, START_LINES),
  });
  return async (signal) => judgeContainer(await look(), earlier) ?? (await probe(signal));
}

/** Ends a job that has had its time: what was given up does not go on unseen. */
export async function endContainer(id: string): Promise<void> {
  const call = { method: "POST", path: `/containers/${id}/stop`, query: { t: String(STOP_SECONDS) } } as const;
  // It may be gone.
  await askEngine(engineHost(process.env), call).catch(() => undefined);
}

async function note(
  host: string,
  id: string,
  { home, volume }: Contained["container"],
): Promise<ContainerSeen | undefined> {
  const seen = await inspectContainer(host, id);
  if (!seen) return undefined;
  // Jobs of this host may belong to another account, and read which data there is.
  mkdirSync(home, { recursive: true });
  for (const directory of [dirname(dirname(home)), dirname(home), home]) chmodSync(directory, 0o711);
  writeFileAtomic(`${home}/container.json`, JSON.stringify({ id, fingerprint: seen.fingerprint }));
  if (volume !== undefined) {
    writeFileAtomic(`${home}/data-id`, `${await volumeDataId(host, volume)}\n`);
    chmodSync(`${home}/data-id`, 0o644);
  }
  return seen;
}

/** The engine counts from the making on: what lies before a good while of work is no sign of anything now. */
export const earlierRestarts = (container: ContainerSeen | undefined): number =>
  container && (containerUptime(container)?.seconds ?? 0) > SETTLED_SECONDS ? container.restarts : 0;

/**
 * Undefined while it may still come to work.
 *
 * @param earlier restarts that are none of this wait.
 */
export function judgeContainer(container: ContainerSeen | undefined, earlier = 0): Outcome | undefined {
  if (!container) return failed("its container is gone");
  const { state, error } = container;
  const restarts = container.restarts - earlier;
  if (restarts >= CRASHES) {
    // The engine forgets how the last one ended when the next one runs.
    const end = state === "running" ? "" : ` (last: ${containerEnd(container)})`;
    return failed(`its program ended soon after each of ${restarts} starts${end}`);
  }
  if (error !== "" && state !== "running") return failed(`it could not be started: ${error}`);
  switch (state) {
    case "running":
      return undefined;
    case "restarting":
      return pending(`it ended (${containerEnd(container)}) and is started again`);
    case "created":
      return pending("it is not started yet");
    case "paused":
      return failed("its container is paused");
    case "removing":
    case "exited":
    case "dead":
      return failed(`its program has ended (${containerEnd(container)})`, memoryFix(container));
  }
}

const memoryFix = ({ isOutOfMemory }: ContainerSeen): string | undefined =>
  isOutOfMemory ? "raise its `memory`" : undefined;

export function judgeJob(container: ContainerSeen | undefined): Outcome {
  if (!container) return failed("its container is gone");
  const { state, error, exitCode } = container;
  if (state === "exited" && exitCode === 0 && error === "") return ready("it ended with exit code 0");
  if (state === "running") return pending("it still runs");
  return judgeContainer(container) ?? pending("it still runs");
}

/** The done mark names what ran and on which data: another plan or other data is another run. */
function noteDone({ job }: Contained["container"], outcome: Outcome): Outcome {
  if (outcome.status !== "ready" || job === undefined) return outcome;
  const data = Object.entries(job.data).map(([name, file]) => [name, readText(file)?.trim() ?? ""] as const);
  const mark = { plan: job.plan, data: Object.fromEntries(data), at: Date.now() / 1000 };
  writeFileAtomic(job.doneFile, JSON.stringify(mark));
  return outcome;
}

/** PIDs of this host; empty when none runs. */
export const processesOf = (container: ContainerSeen | undefined): readonly number[] =>
  container === undefined || container.pid === 0 ? [] : processTree(container.pid);

export const containerUptime = (container: ContainerSeen | undefined): Uptime | undefined =>
  container?.state === "running" ? { pid: container.pid, seconds: Date.now() / 1000 - container.startedAt } : undefined;
