import { accessSync, constants } from "node:fs";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { askRedis, judgeRespError } from "#checks/redis.ts";
import { RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";
import { socketOwners, tcpSockets } from "#checks/sockets.ts";

type DramatiqCheck = CheckOf<"dramatiq-worker">;

/** Idle workers write theirs about once a second; a busy machine gets time. */
const HEARTBEAT_MS = 15_000;

export interface DramatiqEvidence {
  readonly clients: Reply;
  /** How many brokers wrote a heartbeat lately. Programs that only enqueue do so too. */
  readonly heartbeats: Reply;
  /** PIDs of the service's own processes. */
  readonly tree: readonly number[];
  /** The tree's connections to the broker: local port → process that holds it. */
  readonly connections: ReadonlyMap<number, number>;
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
 * worker that hangs, and both together a worker of somebody else: only the owner of the connection tells. Where
 * something stands between the two, the broker sees that one's connections; then the own ones and those that dispatch
 * are counted apart.
 */
export function judgeDramatiqWorker(check: DramatiqCheck, evidence: DramatiqEvidence): Outcome {
  const { clients, heartbeats, tree, connections } = evidence;
  const where = `${check.host}:${check.port}`;
  for (const reply of [clients, heartbeats]) if (reply instanceof RespError) return judgeRespError(check, reply);
  if (tree.length === 0) return pending("no process of the worker runs");
  const consumers = dispatchingPorts(typeof clients === "string" ? clients : "");
  const own =
    check.worker?.isDirect !== false
      ? new Set(consumers.map((port) => connections.get(port)).filter((pid) => pid !== undefined))
      : new Set(connections.values());
  if (Math.min(own.size, consumers.length) < check.processes)
    return pending(
      `${Math.min(own.size, consumers.length)} of ${check.processes} worker processes consume from ${where}` +
        (consumers.length > own.size ? `; ${consumers.length} connections there dispatch, of any program` : ""),
    );
  if (Number(heartbeats) < check.processes)
    return pending(
      `${Number(heartbeats)} of ${check.processes} fresh heartbeats in ${check.namespace}:__heartbeats__ on ${where}`,
    );
  const processes = check.processes === 1 ? "1 worker process consumes" : `${own.size} worker processes consume`;
  return ready(`${processes} from ${where} with a fresh heartbeat`);
}

/** Local ports of the connections whose last command was Dramatiq's dispatch script. */
function dispatchingPorts(clients: string): readonly number[] {
  return clients.split("\n").flatMap((line) => {
    const port = /\baddr=\S*:(\d+) /.exec(line)?.[1];
    return port !== undefined && /\bcmd=eval(sha)?\b/.test(line) ? [Number(port)] : [];
  });
}

/** In the tree's own network namespace, which may be a container's; another user's files only root may read. */
function connectionsTo(port: number, tree: readonly number[]): DramatiqEvidence["connections"] {
  const sockets = tcpSockets(tree[0]).filter((socket) => socket.state === "established" && socket.remotePort === port);
  const owners = socketOwners(new Set(sockets.map(({ inode }) => inode)), tree);
  const nobody = (inode: number): number | undefined => (isReadable(tree) ? undefined : -inode);
  return new Map(
    sockets.flatMap(({ localPort, inode }) => {
      const owner = owners.get(inode) ?? nobody(inode);
      return owner === undefined ? [] : [[localPort, owner] as const];
    }),
  );
}

/** Where it is not, each connection of a container counts as a process of its own. */
function isReadable([pid]: readonly number[]): boolean {
  try {
    accessSync(`/proc/${pid}/fd`, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
