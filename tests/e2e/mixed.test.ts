import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { programsIn } from "../support/light.ts";
import { noOtherMachine, otherMachine, type OtherMachine, type Target } from "../support/network-namespace.ts";
import { freePort } from "../support/ports.ts";
import { signal } from "../support/processes.ts";
import type { Runtime } from "../support/runtimes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

/** Says who it is, and what the one that it uses says. */
const APP = `import os, sys, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

class Chain(BaseHTTPRequestHandler):
    def do_GET(self):
        other = os.environ.get("OTHER")
        text = sys.argv[3] + (" " + urllib.request.urlopen(other, timeout=5).read().decode() if other else "")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

HTTPServer((sys.argv[1], int(sys.argv[2])), Chain).serve_forever()
`;

interface Ports {
  readonly inner: number;
  readonly middle: number;
  readonly outer: number;
  readonly edge: number;
}

const app = (name: string, where: Runtime, port: number, more: object = {}): object => ({
  kind: "web",
  in: where,
  ...programsIn(where),
  port,
  health: "/",
  command: ["python3", "-c", APP, "${self.listen}", "${self.port}", name],
  ...more,
});

/** Host → container → host, an nginx in a container before all. */
const mixed = (ports: Ports, middle: Runtime, address?: string): Sections => ({
  settings: { in: "host" },
  services: {
    inner: app("inner", "host", ports.inner),
    middle: app("middle", middle, ports.middle, { env: { OTHER: "${inner.url}" } }),
    outer: app("outer", "host", ports.outer, { env: { OTHER: "${middle.url}" } }),
    edge: {
      kind: "nginx",
      in: "container",
      port: ports.edge,
      ...(address !== undefined && { address }),
      routes: { "/outer/": "${outer.url}", "/middle/": "${middle.url}", "/inner/": "${inner.url}" },
    },
  },
});

/** A test with another machine, skipped where there can be none. */
function fromOutside(name: string, test: (other: OtherMachine) => Promise<void>): void {
  it.skipIf(noOtherMachine !== undefined)(
    `${name} (${noOtherMachine ?? "seen from a network namespace"})`,
    async () => {
      using other = otherMachine();
      await test(other);
    },
  );
}

describeWithDocker("a stack of host processes and containers", () => {
  let clone: Checkout;
  let stack: TestStack;
  let ports: Ports;

  beforeAll(async () => {
    clone = checkout();
    ports = { inner: await freePort(), middle: await freePort(), outer: await freePort(), edge: await freePort() };
    stack = testStack(clone, "mixed", mixed(ports, "container"));
    await up();
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function up(): Promise<void> {
    const ended = await engineroom.run(stack, "up");
    expect(ended.exitCode, ended.output).toBe(0);
    const again = await pulumi.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  }

  const ask = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${ports.edge}${path}`);
    return `${response.status} ${response.ok ? await response.text() : ""}`.trim();
  };

  const places = async (): Promise<Readonly<Record<"host" | "container", readonly string[]>>> => ({
    host: Object.keys(await stack.pids()).sort(),
    container: Object.keys(await stack.containers()).sort(),
  });

  /** This host's addresses that another machine may try: at the cable, and in the stack's network. */
  async function hosts(other: OtherMachine): Promise<readonly string[]> {
    const gateways = Object.values(await stack.containers()).flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Networks).map(({ Gateway }) => Gateway),
    );
    const all = [other.hostAddress, ...new Set(gateways)];
    expect(all).toHaveLength(2);
    return all;
  }

  const targets = async (other: OtherMachine): Promise<readonly Target[]> =>
    (await hosts(other)).flatMap((host) =>
      [ports.inner, ports.middle, ports.outer, ports.edge].map((port) => ({ host, port })),
    );

  it("reaches one another in both directions, and nginx reaches all", async () => {
    expect(await places()).toEqual({ host: ["inner", "outer", "relay"], container: ["edge", "middle"] });
    expect(await ask("/outer/")).toBe("200 outer middle inner");
    expect(await ask("/middle/")).toBe("200 middle inner");
    expect(await ask("/inner/")).toBe("200 inner");
  });

  fromOutside("is out of reach for another machine", async (other) => {
    expect(await other.open(await targets(other))).toEqual([]);
  });

  it("goes on through nginx when a host process has started again", async () => {
    const { edge } = await stack.running();
    const { inner } = await stack.pids();
    signal(inner!, "SIGKILL");
    const seen = new Set<string>();
    await until("the process to be there again", async () => {
      const answer = await ask("/inner/");
      seen.add(answer);
      const { inner: now } = await stack.pids();
      return answer === "200 inner" && now !== undefined && now.pid !== inner?.pid;
    });
    expect([...seen].sort()).toEqual(seen.size === 1 ? ["200 inner"] : ["200 inner", "502"]);
    expect((await stack.running())["edge"]).toBe(edge);
  });

  it("says 502 for a host process that is not there, until it is", async () => {
    const whole = mixed(ports, "container", "0.0.0.0");
    const { outer } = whole.services;
    const idle = { ...outer, command: ["sleep", "100000"], required: false, ready: { timeout: "1s" } };
    stack.write({ ...whole, services: { ...whole.services, outer: idle } });
    await up();
    expect(await ask("/outer/")).toBe("502");
    expect(await ask("/middle/")).toBe("200 middle inner");
    const { edge } = await stack.running();
    stack.write(whole);
    await up();
    expect(await ask("/outer/")).toBe("200 outer middle inner");
    expect((await stack.running())["edge"]).toBe(edge);
  });

  fromOutside("is reached at its nginx, and at nothing else, once that is told to listen", async (other) => {
    const open = await other.open(await targets(other));
    expect(open).toEqual((await hosts(other)).map((host) => ({ host, port: ports.edge })));
  });

  it("moves a service from its container to this host, with its port", async () => {
    const before = await stack.running();
    stack.write(mixed(ports, "host", "0.0.0.0"));
    await up();
    expect(await places()).toEqual({ host: ["inner", "middle", "outer", "relay"], container: ["edge"] });
    expect(await ask("/outer/")).toBe("200 outer middle inner");
    expect(await ask("/middle/")).toBe("200 middle inner");
    expect((await stack.running())["inner"]).toBe(before["inner"]);
  });

  it("moves it back into a container", async () => {
    const before = await stack.running();
    stack.write(mixed(ports, "container", "0.0.0.0"));
    await up();
    expect(await places()).toEqual({ host: ["inner", "outer", "relay"], container: ["edge", "middle"] });
    expect(await ask("/outer/")).toBe("200 outer middle inner");
    expect((await stack.running())["inner"]).toBe(before["inner"]);
  });

  it("goes down whole", async () => {
    const destroyed = await pulumi.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    expect(await stack.holdings()).toEqual(NOTHING);
  });
});
