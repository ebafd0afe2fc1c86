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
  /** The process of the tree that holds the connection from this local port. */
  readonly ownerOfPort: (port: number) => number | undefined;
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
  return judgeDramatiqWorker(check, { clients, heartbeats, tree, ownerOfPort: ownersTo(check.port, tree) });
}

/**
 * Ready when as many of the service's own processes as declared each hold a connection that dispatches work, and as
 * many brokers have a fresh heartbeat. A heartbeat alone may be a web process that enqueues, a connection alone a
 * worker that hangs, and both together a worker of somebody else: only the owner of the connection tells.
 */
export function judgeDramatiqWorker(check: DramatiqCheck, evidence: DramatiqEvidence): Outcome {
  const { clients, heartbeats, tree, ownerOfPort } = evidence;
  const where = `${check.host}:${check.port}`;
  for (const reply of [clients, heartbeats]) if (reply instanceof RespError) return judgeRespError(check, reply);
  if (tree.length === 0) return pending("no process of the worker runs");
  const consumers = dispatchingPorts(typeof clients === "string" ? clients : "");
  const own = new Set(consumers.map(ownerOfPort).filter((pid) => pid !== undefined));
  if (own.size < check.processes)
    return pending(
      `${own.size} of ${check.processes} worker processes consume from ${where}` +
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

function ownersTo(remotePort: number, tree: readonly number[]): DramatiqEvidence["ownerOfPort"] {
  const sockets = tcpSockets().filter((socket) => socket.state === "established" && socket.remotePort === remotePort);
  const owners = socketOwners(new Set(sockets.map(({ inode }) => inode)), tree);
  const byPort = new Map(sockets.map(({ localPort, inode }) => [localPort, owners.get(inode)]));
  return (port) => byPort.get(port);
}
