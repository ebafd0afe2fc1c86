import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { connectionsTo, consumingProcesses, parseClients } from "#checks/connections.ts";
import type { BrokerClient, OwnConnections } from "#checks/connections.ts";
import { askRedis, judgeRespError } from "#checks/redis.ts";
import { RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

type DramatiqCheck = CheckOf<"dramatiq-worker">;

/** Idle workers write theirs about once a second; a busy machine gets time. */
const HEARTBEAT_MS = 15_000;

export interface DramatiqEvidence {
  readonly clients: Reply;
  /** How many brokers wrote a heartbeat lately. Programs that only enqueue do so too. */
  readonly heartbeats: Reply;
  /** PIDs of the service's own processes. */
  readonly tree: readonly number[];
  readonly connections: OwnConnections;
}

export async function probeDramatiqWorker(
  check: DramatiqCheck,
  signal: AbortSignal,
  processTree: (() => Promise<readonly number[]>) | undefined,
): Promise<Outcome> {
  if (processTree === undefined) return failed("the check was not told which processes are the service's own");
  const tree = await processTree();
  const oldest = Date.now() - HEARTBEAT_MS;
  const answer = await askRedis(check, signal, [
    ["CLIENT", "LIST"],
    ["ZCOUNT", `${check.namespace}:__heartbeats__`, String(oldest), "+inf"],
  ]);
  if ("outcome" in answer) return answer.outcome;
  const [clients = null, heartbeats = null] = answer.replies;
  return judgeDramatiqWorker(check, {
    clients,
    heartbeats,
    tree,
    connections: connectionsTo(check.worker?.port ?? check.port, tree),
  });
}

/**
 * Ready when as many of the service's own processes as declared each hold a connection that dispatches work, and as
 * many brokers have a fresh heartbeat. A heartbeat alone may be a web process that enqueues, a connection alone a
 * worker that hangs, and both together a worker of somebody else: only the owner of the connection tells.
 */
export function judgeDramatiqWorker(check: DramatiqCheck, evidence: DramatiqEvidence): Outcome {
  const { clients, heartbeats, tree, connections } = evidence;
  const where = `${check.host}:${check.port}`;
  for (const reply of [clients, heartbeats]) if (reply instanceof RespError) return judgeRespError(check, reply);
  if (tree.length === 0) return pending("no process of the worker runs");
  const consumers = parseClients(typeof clients === "string" ? clients : "").filter(dispatches);
  const own = consumingProcesses(consumers, connections, check.worker);
  if (own < check.processes)
    return pending(
      `${own} of ${check.processes} worker processes consume from ${where}` +
        (consumers.length > own ? `; ${consumers.length} connections there dispatch, of any program` : ""),
    );
  if (Number(heartbeats) < check.processes)
    return pending(
      `${Number(heartbeats)} of ${check.processes} fresh heartbeats in ${check.namespace}:__heartbeats__ on ${where}`,
    );
  const processes = check.processes === 1 ? "1 worker process consumes" : `${own} worker processes consume`;
  return ready(`${processes} from ${where} with a fresh heartbeat`);
}

/** Dramatiq's dispatch script was its last command; those who enqueue run it too. */
export const dispatches = ({ command }: BrokerClient): boolean => command === "eval" || command === "evalsha";
