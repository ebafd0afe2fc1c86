import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** One line of /proc/net/tcp or tcp6. IPv4 addresses are dotted, IPv6 ones 32 hex digits in network order. */
export interface TcpSocket {
  readonly localHost: string;
  readonly localPort: number;
  readonly remoteHost: string;
  readonly remotePort: number;
  readonly state: "established" | "listening" | "other";
  readonly uid: number;
  /** 0 when the kernel keeps it without an owner. */
  readonly inode: number;
}

const MAPPED_V4 = /^0{20}ffff([0-9a-f]{8})$/;

/** All TCP sockets of a process's network namespace, by two reads. A host without IPv6 has one file. */
export function tcpSockets(pid: number | "self" = "self"): readonly TcpSocket[] {
  return ["tcp", "tcp6"].flatMap((table) => {
    try {
      return parseTcpTable(readFileSync(`/proc/${pid}/net/${table}`, "latin1"));
    } catch {
      return [];
    }
  });
}

export function parseTcpTable(text: string): readonly TcpSocket[] {
  return text.split("\n").slice(1).flatMap(parseTcpLine);
}

function parseTcpLine(line: string): readonly TcpSocket[] {
  const [, local, remote, state, , , , uid, , inode] = line.trim().split(/\s+/);
  const [localHost, localPort] = parseAddress(local);
  const [remoteHost, remotePort] = parseAddress(remote);
  if (localHost === undefined || remoteHost === undefined) return [];
  return [
    {
      localHost,
      localPort,
      remoteHost,
      remotePort,
      state: state === "0A" ? "listening" : state === "01" ? "established" : "other",
      uid: Number(uid),
      inode: Number(inode),
    },
  ];
}

/** `0100007F:1538` is 127.0.0.1:5432: groups of four bytes, each in the machine's own (little-endian) order. */
function parseAddress(text: string | undefined): readonly [string | undefined, number] {
  const match = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(text ?? "");
  const [, words, port] = match ?? [];
  if (words === undefined || port === undefined) return [undefined, 0];
  const hex = words.toLowerCase().replace(/(..)(..)(..)(..)/g, "$4$3$2$1");
  const v4 = hex.length === 8 ? hex : MAPPED_V4.exec(hex)?.[1];
  return [v4 === undefined ? hex : dotted(v4), Number.parseInt(port, 16)];
}

const dotted = (hex: string): string => [...Buffer.from(hex, "hex")].join(".");

/** Which of the sockets each process holds. PIDs of other users show theirs only to root. */
export function socketOwners(inodes: ReadonlySet<number>, pids: readonly number[] = allPids()): Map<number, number> {
  const owners = new Map<number, number>();
  for (const pid of pids) {
    for (const inode of socketInodes(pid)) if (inodes.has(inode) && !owners.has(inode)) owners.set(inode, pid);
    if (owners.size === inodes.size) break;
  }
  return owners;
}

function socketInodes(pid: number): readonly number[] {
  const dir = `/proc/${pid}/fd`;
  return list(dir).flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${dir}/${fd}`))?.[1];
      return inode === undefined ? [] : [Number(inode)];
    } catch {
      return [];
    }
  });
}

function allPids(): readonly number[] {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function list(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
