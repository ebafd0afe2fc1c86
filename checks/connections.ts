import { accessSync, constants } from "node:fs";
import type { WorkerSide } from "#checks/check.ts";
import { socketOwners, tcpSockets } from "#checks/sockets.ts";

/** One connection as the broker itself lists it. */
export interface BrokerClient {
  /** IP address and port of its other end, as the broker sees them. */
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly database: number;
  /** Its last command. */
  readonly command: string;
  /** Seconds since then. */
  readonly idle: number;
}

/** @param text the answer to `CLIENT LIST`. */
export function parseClients(text: string): readonly BrokerClient[] {
  return text.split("\n").flatMap((line) => {
    const fields = new Map(line.split(" ").map((field) => splitAt(field, field.indexOf("="))));
    const address = fields.get("addr") ?? "";
    const [host, port] = splitAt(address, address.lastIndexOf(":"));
    // A connection by a unix socket has port 0, and no process of another host or container.
    if (!/^[1-9]\d*$/.test(port)) return [];
    return {
      host: host.replace(/^\[(.*)\]$/, "$1"),
      port: Number(port),
      name: fields.get("name") ?? "",
      database: Number(fields.get("db")),
      command: fields.get("cmd") ?? "",
      idle: Number(fields.get("idle")),
    };
  });
}

const splitAt = (text: string, at: number): readonly [string, string] => [text.slice(0, at), text.slice(at + 1)];

/** A tree's connections to a port: local port → process that holds it. */
export type OwnConnections = ReadonlyMap<number, number>;

/** In the tree's own network namespace, which may be a container's; another user's files only root may read. */
export function connectionsTo(port: number, tree: readonly number[]): OwnConnections {
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

/**
 * Processes of the tree that consume: each holds one of the broker's consuming connections. Where something stands
 * between the two, the broker sees that one's connections; then own processes and consumers are counted apart.
 */
export function consumingProcesses(
  consumers: readonly BrokerClient[],
  connections: OwnConnections,
  worker: WorkerSide | undefined,
): number {
  const own =
    worker?.isDirect !== false
      ? consumers.map(({ port }) => connections.get(port)).filter((pid) => pid !== undefined)
      : [...connections.values()];
  return Math.min(new Set(own).size, consumers.length);
}
