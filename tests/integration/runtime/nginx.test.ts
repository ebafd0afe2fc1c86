// A real nginx under a real supervisord, and one in a container, without Pulumi: what it serves, and how it takes another
// configuration. Does not prove that routes find other containers; the end-to-end tests of stack dev do.
import { once } from "node:events";
import { get, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { appliedStack, type AppliedStack } from "#tests/support/applied.ts";
import { removeLeftovers } from "#tests/support/containers.ts";
import { describeWithDocker } from "#tests/support/docker.ts";
import { freePort } from "#tests/support/ports.ts";
import { serveHttp, serveTcp } from "#tests/support/servers.ts";
import { until } from "#tests/support/until.ts";

const sections = (settings: object) => ({ services: { edge: { kind: "nginx", ...settings } } });

async function served(stack: AppliedStack): Promise<{ readonly pid: string }> {
  expect(await stack.apply("edge")).toEqual({ exitCode: 0, stderr: "" });
  expect(await stack.outcome("edge")).toMatchObject({ status: "ready" });
  return { pid: await stack.identity("edge") };
}

/** An answer that comes piece by piece. */
async function answerOf(url: string): Promise<{ readonly piece: () => Promise<string> }> {
  const [response] = (await once(get(url, { agent: false }), "response")) as [NodeJS.ReadableStream];
  const pieces = response.setEncoding("utf8")[Symbol.asyncIterator]();
  return { piece: async () => String((await pieces.next()).value) };
}

const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

describe("nginx on the host", () => {
  it("hands on token by token, and takes another configuration without cutting that", async () => {
    let model: ServerResponse | undefined;
    await using backend = await serveHttp((_, response) => {
      model = response;
      response.write("one ");
    });
    const port = await freePort();
    await using stack = await appliedStack(sections({ port, routes: { "/": backend.url } }));
    const { pid } = await served(stack);
    const url = `http://127.0.0.1:${port}`;
    const stream = await answerOf(`${url}/`);
    // The model has said one word and waits.
    expect(await stream.piece()).toBe("one ");

    await using other = await serveHttp((_, response) => response.end("other"));
    stack.change(sections({ port, routes: { "/": backend.url, "/other/": other.url } }));
    expect(await stack.apply("edge")).toEqual({ exitCode: 0, stderr: "" });
    expect(await (await fetch(`${url}/other/`)).text()).toBe("other");
    expect(await stack.identity("edge")).toBe(pid);
    model?.write("two");
    expect(await stream.piece()).toBe("two");

    stack.change(sections({ port, routes: { "/": backend.url, "/other/": "no address" } }));
    expect(await stack.apply("edge")).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(
        /^edge: expected its program to take the new nginx\.conf, got: invalid number of arguments in "proxy_pass" directive in \S+\/nginx\.conf:\d+\. Fix: correct its settings; what ran before still runs$/,
      ) as string,
    });
    expect(await stack.identity("edge")).toBe(pid);
    expect(await (await fetch(`${url}/other/`)).text()).toBe("other");
    model?.end("three");
    expect(await stream.piece()).toBe("three");
  });

  it("is restarted where more than its configuration changed", async () => {
    const port = await freePort();
    await using stack = await appliedStack(sections({ port }));
    const { pid } = await served(stack);
    stack.change(sections({ port, env: { TZ: "UTC" } }));
    expect((await served(stack)).pid).not.toBe(pid);
  });

  it("refuses a first configuration, too", async () => {
    await using stack = await appliedStack(sections({ port: await freePort(), routes: { "/": "no address" } }));
    expect((await stack.apply("edge")).stderr).toContain(" got: invalid number of arguments ");
    expect(await stack.identity("edge")).toBe("0");
  });

  it("lets a WebSocket through", async () => {
    const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let seen = "";
    await using backend = await serveTcp((socket) => {
      socket.once("data", (head) => {
        seen = head.toString();
        socket.write(upgrade);
        socket.on("data", (frame) => socket.write(`echo ${frame.toString()}`));
      });
    });
    const port = await freePort();
    const routes = { "/ws/": `ws://127.0.0.1:${backend.port}` };
    await using stack = await appliedStack(sections({ port, routes }));
    await served(stack);
    const socket = connect({ host: "127.0.0.1", port });
    try {
      socket.write("GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      const [head] = (await once(socket, "data")) as [Buffer];
      expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
      expect(seen).toMatch(/^GET \/ws\/ HTTP\/1\.1\r\n[^]*Upgrade: websocket\r\nConnection: upgrade\r\n/);
      socket.write("frame");
      const [frame] = (await once(socket, "data")) as [Buffer];
      expect(frame.toString()).toBe("echo frame");
    } finally {
      socket.destroy();
    }
  });

  it("asks the backup while the first one does not answer, or not well", async () => {
    const first = await freePort();
    await using backup = await serveHttp((_, response) => response.end("backup"));
    const port = await freePort();
    const routes = { "/": { to: `http://127.0.0.1:${first}`, backup: backup.url } };
    await using stack = await appliedStack(sections({ port, routes }));
    await served(stack);
    const text = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
    expect(await text()).toBe("backup");
    let status = 200;
    const { createServer } = await import("node:http");
    const server = createServer({ keepAlive: false }, (_, response) => response.writeHead(status).end("first"));
    try {
      await once(server.listen(first, "127.0.0.1"), "listening");
      // It is asked again a second after it failed.
      await until("an answer of the first one", async () => (await text()) === "first");
      status = 503;
      expect(await text()).toBe("backup");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describeWithDocker("nginx in a container", () => {
  afterAll(removeLeftovers);

  it("takes another configuration as the same container, and refuses what it would not take", async () => {
    const port = await freePort();
    const edge = (routes: object) => sections({ in: "container", port, routes });
    const itself = `http://127.0.0.1:${port}/__engineroom`;
    await using stack = await appliedStack(edge({}));
    const { pid: id } = await served(stack);
    const url = `http://127.0.0.1:${port}`;
    expect(await statusOf(`${url}/itself/`)).toBe(404);
    // A request that has begun, and ends by what comes after.
    const socket = connect({ host: "127.0.0.1", port });
    try {
      socket.write("GET /__engineroom HTTP/1.1\r\n");
      await once(socket, "connect");

      stack.change(edge({ "/itself/": itself }));
      expect(await stack.apply("edge")).toEqual({ exitCode: 0, stderr: "" });
      expect(await statusOf(`${url}/itself/`)).toBe(204);
      stack.change(edge({ "/itself/": "no address" }));
      const refused = await stack.apply("edge");
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toMatch(/got: invalid number .* in \/run\/engineroom\/nginx\.conf:\d+\. Fix: /);
      expect(await statusOf(`${url}/itself/`)).toBe(204);

      socket.write("Host: x\r\n\r\n");
      const [head] = (await once(socket, "data")) as [Buffer];
      expect(head.toString()).toMatch(/^HTTP\/1\.1 204 /);
    } finally {
      socket.destroy();
    }
    expect(await stack.identity("edge")).toBe(id);
    expect(stack.opened.containerSpecs.get("edge")?.files?.reload).toBeDefined();
  });
});
