import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { execa } from "execa";
import { overlaps, routesIn } from "#checks/subnets.ts";

/** Named after the process that made it, so that the next run removes what a killed one left. */
const PREFIX = "e2e-";

/** Another machine, as far as this one can be told from it: it reaches this host by one cable. */
export interface OtherMachine extends Disposable {
  /** This host's end of the cable. */
  readonly hostAddress: string;
  /** Which of these take a TCP connection from there, and keep it. */
  readonly open: (targets: readonly Target[]) => Promise<readonly Target[]>;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** Why there can be none here; undefined where there can. */
export const noOtherMachine: string | undefined =
  process.getuid?.() !== 0
    ? "only root may make a network namespace"
    : spawnSync("ip", ["netns", "list"]).status === 0
      ? undefined
      : "`ip netns` does not work here";

/** For documentation and for measurements (RFC 5737, 2544): hardly anybody has them. This host may, all the same. */
const BLOCKS = ["198.51.100", "203.0.113", "198.18.0", "192.0.2"];

function freeBlock(): string {
  const routes = routesIn(readFileSync("/proc/net/route", "utf8"));
  const block = BLOCKS.find((start) => !routes.some(({ subnet }) => overlaps(subnet, `${start}.0/24`)));
  if (block === undefined) throw new Error(`this host has routes to all of ${BLOCKS.join(", ")}`);
  return block;
}

export function otherMachine(): OtherMachine {
  const block = freeBlock();
  const [here, there] = [`${block}.1`, `${block}.2`];
  const name = `${PREFIX}${process.pid}`;
  const veth = `e2e${process.pid}`;
  const ip = (...args: readonly string[]): void =>
    void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
  const inside = (...args: readonly string[]): void => ip("-n", name, ...args);
  ip("netns", "add", name);
  try {
    ip("link", "add", veth, "type", "veth", "peer", "name", "cable", "netns", name);
    ip("address", "add", `${here}/30`, "dev", veth);
    ip("link", "set", veth, "up");
    inside("address", "add", `${there}/30`, "dev", "cable");
    inside("link", "set", "cable", "up");
    inside("route", "add", "default", "via", here);
  } catch (error) {
    remove(name);
    throw error;
  }
  return {
    hostAddress: here,
    open: async (targets) => {
      // Open to all: if the other machine does not see even this, what it does not see means nothing.
      const control = createServer((socket) => socket.on("error", () => undefined)).listen(0, "0.0.0.0");
      await once(control, "listening");
      const { port } = control.address() as AddressInfo;
      try {
        const { stdout } = await execa("ip", ["netns", "exec", name, "/usr/bin/python3", "-c", CONNECT], {
          input: JSON.stringify([...targets, { host: here, port }]),
          timeout: 60_000,
        });
        const answered = JSON.parse(stdout) as readonly Target[];
        const seen = answered.filter((target) => target.port !== port);
        if (seen.length === answered.length) throw new Error("the other machine reaches nothing of this host");
        return seen;
      } finally {
        control.close();
      }
    },
    [Symbol.dispose]: () => remove(name),
  };
}

/** The cable goes with one of its ends. */
const remove = (name: string): void => void execFileSync("ip", ["netns", "delete", name]);

const CONNECT = `
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def answers(target):
    try:
        with socket.create_connection((target["host"], target["port"]), timeout=3) as connection:
            connection.settimeout(1)
            # Whoever takes the connection only to end it at once lets nobody in.
            return connection.recv(1) != b""
    except TimeoutError:
        return "connection" in locals()
    except OSError:
        return False

targets = json.load(sys.stdin)
with ThreadPoolExecutor(32) as pool:
    print(json.dumps([target for target, is_open in zip(targets, pool.map(answers, targets)) if is_open]))
`;

/** Removes namespaces of test processes that are gone. */
export function removeNamespaces(isDead: (pid: string) => boolean): void {
  if (noOtherMachine !== undefined) return;
  const names = execFileSync("ip", ["netns", "list"], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "");
  for (const name of names) {
    const pid = new RegExp(`^${PREFIX}(\\d+)$`).exec(name)?.[1];
    if (pid !== undefined && isDead(pid)) remove(name);
  }
}
