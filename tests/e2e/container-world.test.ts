import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { startStrangerContainer, testLabels, type StrangerContainer } from "../support/containers.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { engine, inspect, NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { imageOf, programsIn } from "../support/light.ts";
import { freePort } from "../support/ports.ts";
import { isAlive, startStranger, type Stranger } from "../support/processes.ts";
import { listeners, testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Does not prove: an engine whose disk is full; tests/unit/setup/docker.test.ts has the judgement.

foreignersStayUntouched();

describeWithDocker("a world in which everything for containers is somebody else's", () => {
  let clone: Checkout;
  let stack: TestStack;
  let stranger: Stranger;
  let box: StrangerContainer;
  let ports: { readonly process: number; readonly container: number };
  const ended: Record<string, Ended> = {};

  beforeAll(async () => {
    clone = checkout();
    ports = { process: await freePort(), container: await freePort() };
    const sleeping = { kind: "process", ...programsIn("container"), command: ["sleep", "100000"] };
    stack = testStack(clone, "boxes", {
      settings: { in: "container" },
      services: {
        taken: { ...sleeping, port: ports.process },
        published: { ...sleeping, port: ports.container },
        named: sleeping,
        stored: { kind: "redis", role: "broker", port: await freePort() },
      },
    });
    const command = ["python3", "-m", "http.server", String(ports.process), "--bind", "127.0.0.1"];
    stranger = await startStranger(["/usr/bin/env", "PATH=/usr/bin:/bin", ...command], clone.base);
    box = await startStrangerContainer({
      name: `${stack.name}-named`,
      image: imageOf("python"),
      command: ["sleep", "100000"],
      ports: { [ports.container]: 80 },
    });
    const made = { Labels: testLabels };
    await engine({ method: "POST", path: "/networks/create", json: { Name: `engineroom-${stack.name}`, ...made } });
    await engine({ method: "POST", path: "/volumes/create", json: { Name: `${stack.name}-stored`, ...made } });
    await until("the stranger to listen", async () => (await listeners(ports.process)).length > 0);
    ended["preview"] = await engineroom.run(stack, "preview");
    ended["up"] = await engineroom.run(stack, "up");
    ended["pulumi"] = await pulumi.run(stack, "up");
  });

  afterAll(async () => {
    await stranger[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
    await engine({ method: "DELETE", path: `/networks/engineroom-${stack.name}` });
    await engine({ method: "DELETE", path: `/volumes/${stack.name}-stored` });
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("is refused by preview, up and plain pulumi, in the same words, and nothing was made", async () => {
    expect(Object.values(ended).map(({ exitCode }) => exitCode !== 0)).toEqual([true, true, true]);
    const { owner } = stack.places;
    const image = imageOf("python");
    const { Id } = await inspect(box.id);
    const lines = [
      `services.taken.port: expected port ${ports.process} to be free, got process ${stranger.pid} (python3 -m http.server ${ports.process} --bind 127.0.0.1) of user root. Fix: end that program yourself, or set services.taken.port to another number [PORT_TAKEN]`,
      `services.published.port: expected port ${ports.container} to be free, got container ${stack.name}-named (${image}). Fix: end that program yourself, or set services.published.port to another number [PORT_TAKEN]`,
      `services.named: expected no container ${stack.name}-named, or one of owner ${owner}, got ${Id.slice(0, 12)} (${image}) of nobody that engineroom knows. Fix: remove or rename it yourself, or set services.named.containerName [CONTAINER_FOREIGN]`,
      `settings.networkName: expected no network engineroom-${stack.name}, or one of owner ${owner}, got one of nobody that engineroom knows. Fix: docker network rm engineroom-${stack.name} if nothing needs it, or set settings.networkName [NETWORK_FOREIGN]`,
      `services.stored.volumeName: expected no volume ${stack.name}-stored, or one of owner ${owner}, got one of nobody that engineroom knows. Fix: set services.stored.volumeName to another name [VOLUME_FOREIGN]`,
    ];
    for (const { output } of Object.values(ended)) {
      expect(output).toContain(`The world around stack ${stack.name} has ${lines.length} problems:`);
      const said = output.split("\n").map((line) => line.trim());
      expect(
        lines.filter((line) => !said.includes(line)),
        output,
      ).toEqual([]);
    }
    expect(await stack.holdings()).toEqual(NOTHING);
  });

  it("is left as it was", async () => {
    expect(isAlive(stranger)).toBe(true);
    const { State, Config } = await inspect(box.id);
    expect(State.Status).toBe("running");
    expect(Config.Labels).toEqual(expect.objectContaining(testLabels));
  });

  it("says whose network has the addresses", async () => {
    const { Subnet } = await subnetOf(`engineroom-${stack.name}`);
    await using other = testStack(clone, "subnet", {
      settings: { in: "container", subnet: Subnet },
      services: { quiet: { kind: "process", ...programsIn("container"), command: ["sleep", "100000"] } },
    });
    const { exitCode, output } = await engineroom.run(other, "up");
    expect(exitCode, output).toBe(1);
    expect(output).toContain(
      `settings.subnet: expected ${Subnet} to be free, for the stack's network, got ${Subnet} of the network engineroom-${stack.name}. Fix: set settings.subnet to another one, such as 10.199.7.0/24 [SUBNET_TAKEN]`,
    );
    expect(await other.holdings()).toEqual(NOTHING);
  });
});

async function subnetOf(network: string): Promise<{ readonly Subnet: string }> {
  const { IPAM } = await engine<{ readonly IPAM: { readonly Config: readonly { readonly Subnet: string }[] } }>({
    path: `/networks/${network}`,
  });
  return { Subnet: IPAM.Config[0]?.Subnet ?? "" };
}

describeWithDocker("an engine that does not answer", () => {
  let clone: Checkout;

  beforeAll(() => {
    clone = checkout();
  });

  afterAll(() => {
    clone[Symbol.dispose]();
  });

  it("is named by preview, up and plain pulumi with what to do", async () => {
    const quiet = { kind: "process", ...programsIn("container"), command: ["sleep", "100000"] };
    await using stack = testStack(clone, "no-engine", { settings: { in: "container" }, services: { quiet } });
    const env = { ...clone.env, DOCKER_HOST: `unix://${clone.base}/no-such.sock` };
    for (const argv of [engineroom.argv(stack, "preview"), engineroom.argv(stack, "up"), pulumi.argv(stack, "up")]) {
      const { exitCode, output } = await stack.run(argv, { env });
      expect(exitCode, output).not.toBe(0);
      expect(output).toMatch(
        new RegExp(
          `Docker engine at unix://${clone.base}/no-such.sock: expected an answer, got not running .*\\. Fix: \\S`,
        ),
      );
      expect(output).toContain("DOCKER_UNREACHABLE");
      expect(output).not.toMatch(/^\s+at /m);
    }
  });
});

describeWithDocker("containers of which only the start shows what is wrong", () => {
  let clone: Checkout;
  let stack: TestStack;
  let up: Ended & { readonly seconds: number };

  beforeAll(async () => {
    clone = checkout();
    const own = programsIn("container");
    // One stream: what comes on two may come in any order.
    const numbered = "for n in $(seq 30); do echo line $n.; done";
    const app = join(clone.dir, "broken-app");
    mkdirSync(app);
    writeFileSync(join(app, "Dockerfile"), `FROM ${imageOf("python")}\nRUN ${numbered}; echo no such luck; exit 7\n`);
    stack = testStack(clone, "shows", {
      settings: { in: "container" },
      services: {
        brief: { kind: "process", restart: "no", ...own, command: ["sh", "-c", `${numbered}; exit 4`] },
        cycling: { kind: "process", restart: "always", ...own, command: ["sh", "-c", "echo once more; exit 5"] },
        hungry: { kind: "process", restart: "no", ...own, memory: "32MiB", command: ["python3", "-c", HUNGRY] },
        deaf: {
          kind: "web",
          ...own,
          port: await freePort(),
          ready: { timeout: "4s" },
          command: ["python3", "-c", SERVER, "${self.port}"],
          health: "/",
        },
        missing: { kind: "process", image: "registry.invalid/nobody/nothing:1", command: ["true"] },
        broken: { kind: "process", build: "./broken-app", command: ["true"] },
        task: { kind: "job", ...own, command: ["sh", "-c", "echo no such luck; exit 3"] },
        slow: { kind: "job", ...own, timeout: "3s", command: ["sh", "-c", "echo still at it; sleep 100000"] },
        optional: { kind: "process", required: false, restart: "no", ...own, command: ["sh", "-c", "exit 6"] },
        after: { kind: "process", needs: ["optional"], ...own, command: ["sleep", "100000"] },
        never: { kind: "process", needs: ["task"], ...own, command: ["sleep", "100000"] },
      },
    });
    const began = performance.now();
    up = { ...(await engineroom.run(stack, "up")), seconds: (performance.now() - began) / 1000 };
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("fail the up together, and the others run", async () => {
    expect(up.exitCode, up.output).toBe(1);
    // One of them comes and goes.
    const { cycling: _cycling, ...running } = await stack.running();
    expect(Object.keys(running)).toEqual(["after", "deaf"]);
  });

  it.each([
    ["brief", "its program has ended (exited with code 4). Fix: ./engineroom logs brief"],
    ["hungry", "its program has ended (killed, out of memory). Fix: raise its `memory`"],
    ["task", "its program has ended (exited with code 3). Fix: ./engineroom logs task"],
    ["optional", "its program has ended (exited with code 6). Fix: ./engineroom logs optional"],
  ])("%s", (name, words) => {
    expect(up.output).toContain(`${name}: ${words}`);
  });

  it("a program that ends again and again: that, before its time is up", () => {
    expect(up.output).toMatch(
      /cycling: its program ended soon after each of \d starts( \(last: exited with code 5\))?\. Fix: \.\/engineroom logs cycling\n +Last \d+ log lines:\n +once more$/m,
    );
  });

  it("a program that ends: the end of its log", () => {
    const quoted = [...up.output.matchAll(/^ +line (\d+)\.$/gm)].map(([, number]) => Number(number));
    expect(quoted.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, index) => index + 11));
    expect(up.output).toMatch(/task: its program has ended .*\n +Last log line:\n +no such luck$/m);
  });

  it("a health that never comes: its last reason, when its time is up", () => {
    expect(up.output).toMatch(
      /deaf: not ready after 4\.\d s \(\d+ attempts\)\. Last: http:\/\/127\.0\.0\.1:\d+\/ answered 503.* Fix: \.\/engineroom logs deaf\n +Last \d+ log lines:\n(?: +.*\n)* +.*GET \/ HTTP/,
    );
  });

  it("a job that goes on for too long: that, and its log; and it is ended", () => {
    expect(up.output).toMatch(
      /slow: not ready after 3\.\d s .*Last: it still runs\. Fix: .*\n +Last log line:\n +still at it$/m,
    );
  });

  it("an image that nobody has: its name, and what the engine said", () => {
    expect(up.output).toMatch(/registry\.invalid\/nobody\/nothing:1/);
    expect(up.output).toContain("missing");
  });

  it("an image that cannot be built: the end of what the build said", () => {
    expect(up.output).toContain("no such luck");
    expect(up.output).toMatch(/image-broken-app failed \(see above\), so what needs it was not started/);
    expect(up.output).toMatch(/^ +#\d+ [\d.]+ no such luck$/m);
  });

  it("leave no container behind that was made and never started", async () => {
    const states = Object.entries(await stack.containers()).map(([name, { State }]) => [name, State.Status]);
    expect(states.filter(([, status]) => status === "created")).toEqual([]);
  });
});

const HUNGRY = "held = []\nwhile True: held.append(b'x' * 2**20)";

const SERVER = `
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Busy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)

HTTPServer(("0.0.0.0", int(sys.argv[1])), Busy).serve_forever()
`;
