import type { BrokerClient } from "#checks/connections.ts";
import { socketOwners, tcpSockets, type TcpSocket } from "#checks/sockets.ts";
import { askEngine } from "#setup/docker-api.ts";

/** A container that runs, ours or not. */
export interface RunningContainer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of its main process, as this host counts. */
  readonly pid: number;
  readonly addresses: readonly string[];
}

/** A connection to a server, and who has its other end. */
export interface HeldConnection {
  /** As the server lists it; undefined where something stands between the two, which the server sees in its place. */
  readonly client: BrokerClient | undefined;
  /** Address and port of the other end. */
  readonly address: string;
  /** As this host counts; undefined where it is on another machine, or another user's that may not be looked into. */
  readonly pid: number | undefined;
  readonly container: RunningContainer | undefined;
}

/** A server whose connections are looked at. */
export interface Served {
  /** Port at which it, or what stands before it, is reached on this host. */
  readonly port: number;
  /** Port at which it is reached in its network. */
  readonly innerPort: number;
  readonly clients: readonly BrokerClient[];
  /** Id of its own container. */
  readonly containerId: string | undefined;
  /** PIDs of what hands connections on to it; the engine's own proxy is known without. */
  readonly relay: readonly number[];
}

/** The connections to a server. */
export interface Held {
  readonly connections: readonly HeldConnection[];
  /** Those of what stands between: the server sees them in place of somebody's own. */
  readonly between: readonly BrokerClient[];
}

/** Who holds each connection to a server, through the relay and the engine's proxy, too. One look at every process. */
export function holdersOf(served: Served, containers: readonly RunningContainer[]): Held {
  const host = tcpSockets();
  const byAddress = new Map(containers.flatMap((one) => one.addresses.map((address) => [address, one] as const)));
  const own = containers.find(({ id }) => id === served.containerId);
  const ends = (address: string, port: number, local?: RunningContainer): End => {
    const container = isLoopback(address) ? local : byAddress.get(address);
    const sockets = container ? tcpSockets(container.pid) : host;
    const socket = sockets.find((one) => isEnd(one, port, served));
    return { address: `${address}:${port}`, container, inode: socket?.inode };
  };
  const listed = served.clients.map((client) => ({ client, ...ends(plain(client.host), client.port, own) }));
  const entrances = host.filter(({ state, localPort }) => state === "listening" && localPort === served.port);
  const accepted = host.filter(({ state, localPort }) => state === "established" && localPort === served.port);
  const beyond = accepted.map((socket) => ({
    accepting: socket.inode,
    ...ends(socket.remoteHost, socket.remotePort),
  }));
  const inodes = [...listed, ...beyond].flatMap(({ inode }) => inode ?? []);
  const owners = socketOwners(new Set([...inodes, ...[...entrances, ...accepted].map(({ inode }) => inode)]));
  const ownerOf = (inode: number | undefined): number | undefined => (inode === undefined ? inode : owners.get(inode));
  const relay = new Set(served.relay);
  const listeners = new Set(entrances.map(({ inode }) => owners.get(inode)));
  /** One end of a connection whose other end is the server: what stands between is no holder itself. */
  const isBetween = ({ inode, container }: End): boolean => {
    const owner = ownerOf(inode);
    if (owner !== undefined && relay.has(owner)) return true;
    // A container's server is reached on this host by the engine's proxy alone, which is root's and may not be looked into.
    return (
      own !== undefined && container === undefined && (owner === undefined ? inode !== undefined : listeners.has(owner))
    );
  };
  const held = (end: End, client?: BrokerClient): HeldConnection => {
    const { address, container, inode } = end;
    return { client, address, pid: ownerOf(inode), container };
  };
  const isPassedOn = (accepting: number): boolean => own !== undefined || relay.has(owners.get(accepting) ?? 0);
  return {
    connections: [
      ...listed.filter((end) => !isBetween(end)).map(({ client, ...end }) => held(end, client)),
      ...beyond.filter(({ accepting }) => isPassedOn(accepting)).map((end) => held(end)),
    ],
    between: listed.filter(isBetween).map(({ client }) => client),
  };
}

/** The far end of a connection, as far as it is found. */
interface End {
  readonly address: string;
  readonly container: RunningContainer | undefined;
  readonly inode: number | undefined;
}

const isEnd = (socket: TcpSocket, port: number, served: Pick<Served, "port" | "innerPort">): boolean =>
  socket.state === "established" &&
  socket.localPort === port &&
  (socket.remotePort === served.port || socket.remotePort === served.innerPort);

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

/** An IPv4 address that came by an IPv6 socket is that address. */
const plain = (address: string): string => address.replace(/^::ffff:/, "");

interface ContainerLine {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> } | null;
}

/** Every container that runs; none where no engine answers. */
export async function runningContainers(engineHost: string): Promise<readonly RunningContainer[]> {
  const lines = await askEngine<readonly ContainerLine[]>(engineHost, { path: "/containers/json" }).catch(() => []);
  return Promise.all(
    lines.map(async ({ Id, Names, Image, Labels, NetworkSettings }) => ({
      id: Id,
      name: Names[0]?.slice(1) ?? "",
      image: Image,
      labels: Labels ?? {},
      pid: await pidOf(engineHost, Id),
      addresses: Object.values(NetworkSettings?.Networks ?? {}).flatMap(({ IPAddress }) => IPAddress || []),
    })),
  );
}

/** 0 where it has just ended. */
async function pidOf(engineHost: string, id: string): Promise<number> {
  const path = `/containers/${id}/json`;
  const inspected = await askEngine<{ readonly State: { readonly Pid: number } }>(engineHost, { path }).catch(
    () => undefined,
  );
  return inspected?.State.Pid ?? 0;
}
