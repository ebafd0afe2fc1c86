import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { noDocker } from "../support/docker.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { imageOf } from "../support/light.ts";
import { freePort } from "../support/ports.ts";
import { isAlive, startStranger } from "../support/processes.ts";
import { startRedis } from "../support/servers.ts";
import { listeners, testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// What containers make of a server that somebody else runs on this host. tests/e2e/system-chainlens.test.ts has the
// rest: processes, passwords, servers that are down.

foreignersStayUntouched();

/** A job, so that its end is the proof. */
const asks = (code: string, env: Readonly<Record<string, string>>): Sections["services"] => ({
  asks: { kind: "job", in: "container", image: imageOf("python"), command: ["python3", "-c", code], env },
});

describe.skipIf(noDocker !== undefined)(`a container and somebody else's server (${noDocker ?? "Docker"})`, () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeAll(() => {
    clone = checkout();
    stack = testStack(clone, "external", { services: {} });
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("reaches one on loopback by the relay, and destroy leaves that one alone", async () => {
    await using redis = await startRedis();
    const code = `import os, socket
with socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), 5) as connection:
    connection.sendall(b"PING\\r\\n")
    assert connection.recv(64).startswith(b"-NOAUTH"), "no Redis"`;
    stack.write({
      secrets: { redis: { file: redis.passwordFile } },
      services: {
        broker: { kind: "redis", in: "external", port: redis.port, password: "${secret.redis}" },
        ...asks(code, { HOST: "${broker.host}", PORT: "${broker.port}" }),
      },
    });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    const destroy = await engineroom.run(stack, "destroy");
    expect(destroy.exitCode, destroy.output).toBe(0);
    expect(await stack.holdings()).toEqual({ containers: [], networks: [], volumes: [], images: [] });
    expect(stack.processes()).toEqual([]);
    expect(await listeners(redis.port)).toEqual([redis.pid]);
  });

  it("is told, before anything starts, to name another address of one that listens on every address", async () => {
    const port = await freePort();
    await using stranger = await startStranger(["/usr/bin/python3", "-m", "http.server", String(port)], clone.base);
    await until("the server to listen", async () => (await listeners(port)).length > 0);
    stack.write({
      services: { pages: { kind: "web", in: "external", port, health: "/" }, ...asks("", { URL: "${pages.url}" }) },
    });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toContain(
      "services.pages.host: expected an address that containers reach: this server listens on every address of this host",
    );
    expect(up.output).toContain("[EXTERNAL_HOST]");
    expect(isAlive(stranger)).toBe(true);
  });
});
