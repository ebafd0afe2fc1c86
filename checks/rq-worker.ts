import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { connectionsTo, parseClients } from "#checks/connections.ts";
import type { BrokerClient, OwnConnections } from "#checks/connections.ts";
import { ownPids, processIdentity } from "#checks/process-tree.ts";
import { askRedis, judgeRespError } from "#checks/redis.ts";
import { RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

type RqCheck = CheckOf<"rq-worker">;

/** While a job runs its worker beats every 30 s; one that waits, whenever its wait for a job ends (405 s). */
const BUSY_SECONDS = 90;
const IDLE_SECONDS = 480;

/** A worker as it has registered itself. */
export interface RqWorker {
  readonly name: string;
  /** As it knows itself. */
  readonly pid: number;
  readonly state: string;
  /** Unix seconds. */
  readonly heartbeat: number;
}

export interface RqEvidence {
  readonly clients: Reply;
  readonly workers: readonly RqWorker[];
  /** PIDs of the service's own processes, by the ones under which they know themselves. */
  readonly tree: ReadonlyMap<number, number>;
  /** Those that are stopped: their connections wait for a job as before. */
  readonly stopped: readonly number[];
  readonly connections: OwnConnections;
  /** Unix seconds. */
  readonly now: number;
}

export async function probeRqWorker(
  check: RqCheck,
  signal: AbortSignal,
  processTree: (() => Promise<readonly number[]>) | undefined,
): Promise<Outcome> {
  if (processTree === undefined) return failed("the check was not told which processes are the service's own");
  const tree = await processTree();
  const registered = await registeredWorkers(check, signal);
  if ("outcome" in registered) return registered.outcome;
  return judgeRqWorker(check, {
    ...registered,
    tree: ownPids(tree),
    stopped: tree.filter((pid) => processIdentity(pid)?.state === "T"),
    connections: connectionsTo(check.worker?.port ?? check.port, tree),
    now: Date.now() / 1000,
  });
}

/** Everyone who has registered as a worker of this database, and the broker's connections. */
export async function registeredWorkers(
  place: Pick<RqCheck, "host" | "port" | "passwordFile" | "database">,
  signal: AbortSignal,
): Promise<Pick<RqEvidence, "clients" | "workers"> | { readonly outcome: Outcome }> {
  const select = ["SELECT", String(place.database)];
  const first = await askRedis(place, signal, [select, ["CLIENT", "LIST"], ["SMEMBERS", "rq:workers"]]);
  if ("outcome" in first) return first;
  const refused = first.replies.find((reply) => reply instanceof RespError);
  if (refused) return { outcome: judgeRespError(place, refused) };
  const [, clients = null, members] = first.replies;
  const keys = Array.isArray(members) ? (members as readonly Reply[]).map(String) : [];
  if (keys.length === 0) return { clients, workers: [] };
  const fields = keys.map((key) => ["HMGET", key, "pid", "state", "last_heartbeat"]);
  const second = await askRedis(place, signal, [select, ...fields]);
  if ("outcome" in second) return second;
  return { clients, workers: keys.flatMap((key, index) => workerOf(key, second.replies[index + 1] ?? null)) };
}

/** None where its hash has expired: the set keeps its name. */
function workerOf(key: string, reply: Reply): readonly RqWorker[] {
  const [pid, state, heartbeat] = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  if (typeof pid !== "string") return [];
  const at = typeof heartbeat === "string" ? Date.parse(heartbeat) / 1000 : 0;
  return [
    {
      name: key.replace(/^rq:worker:/, ""),
      pid: Number(pid),
      state: typeof state === "string" ? state : "",
      heartbeat: at,
    },
  ];
}

/** It waits for a job, by one queue or several. */
export const takesJobs = ({ command }: BrokerClient): boolean => command === "blmove" || command === "blpop";

/**
 * Ready when as many registered workers as declared are processes of the service's own, beat, and have their
 * connection: what a killed worker registered stays for minutes, and its PID may be another's by then.
 */
export function judgeRqWorker(check: RqCheck, evidence: RqEvidence): Outcome {
  const { clients, workers, tree, stopped, connections, now } = evidence;
  const where = `${check.host}:${check.port}`;
  if (clients instanceof RespError) return judgeRespError(check, clients);
  if (tree.size === 0) return pending("no process of the worker runs");
  if (stopped.length > 0) return pending(`process ${stopped.join(", ")} of the worker is stopped`);
  const list = parseClients(typeof clients === "string" ? clients : "");
  const named = new Map(list.map((client) => [client.name, client]));
  const takers = list.filter(takesJobs);
  const isConnected = ({ name, pid, state }: RqWorker): boolean => {
    const client = named.get(name);
    if (client === undefined) return false;
    // Of a proxy's connections nobody knows which are whose.
    if (check.worker?.isDirect === false) return connections.size > 0 && (state === "busy" || takers.length > 0);
    const owner = connections.get(client.port);
    // Those of processes that may not be looked into have a number below zero.
    if (owner === undefined || (owner >= 0 && owner !== tree.get(pid))) return false;
    return state === "busy" || owner < 0 || takers.some(({ port }) => connections.get(port) === owner);
  };
  const isFresh = ({ state, heartbeat }: RqWorker): boolean =>
    now - heartbeat < (state === "busy" ? BUSY_SECONDS : IDLE_SECONDS);
  const own = workers.filter((worker) => tree.has(worker.pid) && isConnected(worker));
  const fresh = own.filter(isFresh);
  if (fresh.length < check.workers)
    return pending(
      `${fresh.length} of ${check.workers} workers are registered and beat in database ${check.database} of ${where}` +
        words(own.length - fresh.length, "of its own beat no more") +
        words(workers.length - own.length, "there are not its own"),
    );
  const suspended = fresh.find(({ state }) => state === "suspended");
  if (suspended) return pending(`RQ is suspended on ${where}: workers take no job until rq resume`);
  return ready(`${fresh.length === 1 ? "1 worker consumes" : `${fresh.length} workers consume`} from ${where}`);
}

const words = (count: number, text: string): string => (count > 0 ? `; ${count} ${text}` : "");
