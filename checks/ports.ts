import { readFileSync } from "node:fs";
import { processIdentity } from "#checks/process-tree.ts";
import { socketOwners, tcpSockets } from "#checks/sockets.ts";
import type { TcpSocket } from "#checks/sockets.ts";

const COMMAND_LIMIT = 120;
const ANY_V4 = "0.0.0.0";
const ANY_V6 = "0".repeat(32);
const LOOPBACK_V6 = `${"0".repeat(31)}1`;

/** Who has a port. Another user's process shows only its user, unless we are root. */
export interface Listener {
  /** As the kernel has it: an IPv4 address, or 32 hex digits. */
  readonly host: string;
  readonly uid: number;
  /** The name of `uid`, or its number where there is none. */
  readonly user: string;
  readonly process?: {
    readonly pid: number;
    /** Clock ticks from boot to its start. */
    readonly startTime: number;
    /** At most 120 characters. */
    readonly command: string;
  };
}

export interface WantedPort {
  readonly host: string;
  readonly port: number;
}

/** Who stands in the way of listening on each of `wanted`; ports that are free are not in the map. */
export function listenersOn(wanted: readonly WantedPort[]): Promise<Map<number, Listener[]>> {
  const sockets = tcpSockets().filter((socket) => wanted.some((port) => clashes(port, socket)));
  const owners = sockets.length === 0 ? new Map<number, number>() : ownersOf(sockets);
  const listeners = new Map<number, Listener[]>();
  for (const socket of sockets) {
    const listener = listenerOf(socket, owners.get(socket.inode));
    const others = listeners.get(socket.localPort) ?? [];
    listeners.set(socket.localPort, [...others, listener]);
  }
  return Promise.resolve(listeners);
}

/** Whether the kernel would refuse the one beside the other. A wildcard on either side takes all addresses. */
export function clashes({ host, port }: WantedPort, socket: TcpSocket): boolean {
  if (socket.state !== "listening" || socket.localPort !== port) return false;
  const wanted = wantedHosts(host);
  const isAny = (address: string) => address === ANY_V4 || address === ANY_V6;
  return wanted.some(isAny) || isAny(socket.localHost) || wanted.includes(socket.localHost);
}

function wantedHosts(host: string): readonly string[] {
  if (host === "localhost") return ["127.0.0.1", LOOPBACK_V6];
  if (host === "::1") return [LOOPBACK_V6];
  if (host === "::" || host === "" || host === "*") return [ANY_V6];
  return [host];
}

function ownersOf(sockets: readonly TcpSocket[]): Map<number, number> {
  return socketOwners(new Set(sockets.map(({ inode }) => inode)));
}

function listenerOf({ localHost, uid }: TcpSocket, pid: number | undefined): Listener {
  const base = { host: localHost, uid, user: userName(uid) };
  const identity = pid === undefined ? undefined : processIdentity(pid);
  if (identity === undefined) return base;
  const { startTime } = identity;
  return { ...base, process: { pid: identity.pid, startTime, command: commandOf(identity.pid) } };
}

function commandOf(pid: number): string {
  const text = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() || read(`/proc/${pid}/comm`).trim();
  return text.length > COMMAND_LIMIT ? `${text.slice(0, COMMAND_LIMIT - 3)}...` : text;
}

function userName(uid: number): string {
  const line = read("/etc/passwd")
    .split("\n")
    .find((entry) => entry.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? String(uid);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
