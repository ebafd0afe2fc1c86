import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { clashes, listenersOn } from "#checks/ports.ts";
import { processIdentity } from "#checks/process-tree.ts";
import { parseTcpTable } from "#checks/sockets.ts";
import type { TcpSocket } from "#checks/sockets.ts";
import { freePort } from "#tests/support/servers.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 15873 1 0000000000000000 100 0 0 10 0
   1: 0100007F:18EB 0100007F:C4F2 01 00000000:00000000 00:00000000 00000000     0        0 15900 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C4F2 0100007F:18EB 06 00000000:00000000 03:00000F1C 00000000     0        0 0 3 0000000000000000
`;
const table6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000000000000000 100 0 0 10 0
`;

describe("parseTcpTable", () => {
  it("reads addresses, states and owners", () => {
    expect(parseTcpTable(table)).toEqual([
      {
        localHost: "127.0.0.1",
        localPort: 5432,
        remoteHost: "0.0.0.0",
        remotePort: 0,
        state: "listening",
        uid: 999,
        inode: 15873,
      },
      {
        localHost: "127.0.0.1",
        localPort: 6379,
        remoteHost: "127.0.0.1",
        remotePort: 50418,
        state: "established",
        uid: 0,
        inode: 15900,
      },
      {
        localHost: "127.0.0.1",
        localPort: 50418,
        remoteHost: "127.0.0.1",
        remotePort: 6379,
        state: "other",
        uid: 0,
        inode: 0,
      },
    ]);
  });

  it("reads IPv6, also IPv4 inside it", () => {
    expect(parseTcpTable(table6).map(({ localHost, localPort }) => [localHost, localPort])).toEqual([
      ["0".repeat(32), 8080],
      [`${"0".repeat(31)}1`, 80],
      ["127.0.0.1", 81],
    ]);
  });

  it("skips what it cannot read", () => {
    expect(parseTcpTable("head\nnonsense\n\n  0: zz:1 x:2 0A\n")).toEqual([]);
  });
});

describe("clashes", () => {
  const socket = (localHost: string, more: Partial<TcpSocket> = {}): TcpSocket => ({
    localHost,
    localPort: 80,
    remoteHost: "0.0.0.0",
    remotePort: 0,
    state: "listening",
    uid: 0,
    inode: 1,
    ...more,
  });
  const any6 = "0".repeat(32);
  const loopback6 = `${"0".repeat(31)}1`;

  it.each([
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "0.0.0.0", true],
    ["127.0.0.1", any6, true],
    ["0.0.0.0", "10.0.0.1", true],
    ["127.0.0.1", "10.0.0.1", false],
    ["127.0.0.1", loopback6, false],
    ["localhost", loopback6, true],
    ["::1", loopback6, true],
    ["::", "127.0.0.1", true],
  ])("%s wanted, %s taken: %s", (host, taken, expected) => {
    expect(clashes({ host, port: 80 }, socket(taken))).toBe(expected);
  });

  it("leaves other ports and connections alone", () => {
    expect(clashes({ host: "127.0.0.1", port: 81 }, socket("127.0.0.1"))).toBe(false);
    expect(clashes({ host: "127.0.0.1", port: 80 }, socket("127.0.0.1", { state: "established" }))).toBe(false);
  });
});

describe("listenersOn", () => {
  it("names the program that listens, and says nothing of free ports", async () => {
    const server = createServer().listen(0, "0.0.0.0");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const free = await freePort();
    const found = await listenersOn([
      { host: "127.0.0.1", port },
      { host: "127.0.0.1", port: free },
    ]);
    await new Promise((resolve) => server.close(resolve));
    expect([...found.keys()]).toEqual([port]);
    const startTime = processIdentity(process.pid)?.startTime;
    expect(found.get(port)).toEqual([
      {
        host: "0.0.0.0",
        uid: process.getuid?.(),
        user: expect.any(String) as string,
        process: { pid: process.pid, startTime, command: expect.stringContaining("node") as string },
      },
    ]);
  });

  /** Another process that listens on a free port. */
  async function startListener(...args: readonly string[]) {
    const port = await freePort();
    const program = `require("node:net").createServer().listen(${port},"127.0.0.1",()=>console.log("up"))`;
    const child = spawn(process.execPath, ["-e", program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const stop = async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    };
    return { port, pid: child.pid, [Symbol.asyncDispose]: stop };
  }

  it("cuts a long command line", async () => {
    await using other = await startListener("x".repeat(500));
    const [listener] = (await listenersOn([{ host: "127.0.0.1", port: other.port }])).get(other.port) ?? [];
    expect(listener?.process?.pid).toBe(other.pid);
    expect(listener?.process?.command).toHaveLength(120);
  });

  it("knows at least the user of a process that it cannot see", async () => {
    await using other = await startListener();
    // Root sees all, so look as somebody else. A plain user has nobody else's process at hand, and sees its own.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      const [listener] = (await listenersOn([{ host: "127.0.0.1", port: other.port }])).get(other.port) ?? [];
      if (isRoot) expect(listener).toEqual({ host: "127.0.0.1", uid: 0, user: "root" });
      else expect(listener?.process?.pid).toBe(other.pid);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});
