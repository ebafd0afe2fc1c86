// Each kind's plan carried out without Pulumi, on the host and in a container, and proven by its own check.
// What a container is of here is what set-up has: official images, or stand-ins.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Check } from "#checks/check.ts";
import { connectPacket, decodePacket, publishPacket, subscribePacket, type Packet } from "#checks/mqtt-packets.ts";
import { insideContainer } from "#checks/inside-container.ts";
import { runCheck } from "#checks/run.ts";
import { signedHeaders } from "#checks/sigv4.ts";
import { askEngine } from "#setup/docker-api.ts";
import { readImages } from "#setup/image-references.ts";
import { setUpImages } from "#setup/images.ts";
import { setUp } from "#setup/setup.ts";
import { appliedStack, type AppliedStack } from "#tests/support/applied.ts";
import { host, removeLeftovers } from "#tests/support/containers.ts";
import { describeWithDocker, noDocker } from "#tests/support/docker.ts";
import { freePort } from "#tests/support/ports.ts";
import { serveHttp } from "#tests/support/servers.ts";
import { until } from "#tests/support/until.ts";
import { hostPlaces } from "#stack/places.ts";
import { projectDir } from "../setup/support.ts";

const kinds = ["object-store", "mqtt", "prometheus"] as const;
const options = { install: true, projectDir, env: process.env, report: (line: string) => console.error(line) };

const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
const places = ["host", ...(noDocker === undefined ? ["container"] : [])];

beforeAll(async () => {
  await setUp({ parts: kinds, ...options });
  if (noDocker === undefined) await setUpImages(options, [...kinds, "python", "redis", "llama-server"]);
}, 1_800_000);
afterAll(() => (noDocker === undefined ? removeLeftovers() : undefined));

async function started(stack: AppliedStack, service: string): Promise<void> {
  expect(await stack.apply(service)).toEqual({ exitCode: 0, stderr: "" });
  expect(await stack.outcome(service), await stack.log(service)).toMatchObject({ status: "ready" });
}

/** As {@link started}, asked in another way. */
async function asked(stack: AppliedStack, service: string, other: object): Promise<string> {
  const check = stack.opened.plan.services.find(({ name }) => name === service)?.check;
  const { outcome } = await runCheck({ ...check, ...other } as Check, { timeoutMs: 0, attemptMs: 5000 });
  return outcome.status === "ready" ? outcome.detail : `${outcome.status}: ${outcome.reason}`;
}

/** A secret that is none of theirs. */
const WRONG = "/proc/sys/kernel/ostype";

/** Its program ends and another one comes, with the same data. */
async function again(stack: AppliedStack, service: string): Promise<void> {
  const before = await stack.identity(service);
  await stack.stop(service);
  await started(stack, service);
  expect(await stack.identity(service)).not.toBe(before);
}

describe.each(places)("object-store in: %s", (place) => {
  it("has its buckets and keeps its objects, for who signs alone", async () => {
    const port = await freePort();
    const store = { kind: "object-store", in: place, port, buckets: ["artifacts", "other"], accessKey: "kitty" };
    await using stack = await appliedStack({ services: { store } });
    await started(stack, "store");
    const send = async (method: string, path: string, body?: string, secretKey = stack.secret("store.secretKey")) => {
      const url = `http://127.0.0.1:${port}${path}`;
      const key = { region: "us-east-1", accessKey: "kitty", secretKey };
      const headers = signedHeaders({ method, url, ...(body !== undefined && { body }) }, key, new Date());
      const response = await fetch(url, { method, headers, ...(body !== undefined && { body }) });
      return { status: response.status, text: await response.text() };
    };
    expect((await send("GET", "/")).text).toMatch(/<Name>artifacts<[^]*<Name>other</);
    expect(await send("PUT", "/artifacts/a/b.txt", "kept")).toMatchObject({ status: 200 });
    expect(await send("GET", "/artifacts/a/b.txt", undefined, "wrong")).toMatchObject({ status: 403 });
    expect((await fetch(`http://127.0.0.1:${port}/artifacts/a/b.txt`)).status).toBe(403);
    await again(stack, "store");
    expect(await send("GET", "/artifacts/a/b.txt")).toEqual({ status: 200, text: "kept" });
    const url = `http://127.0.0.1:${port}/`;
    expect(await asked(stack, "store", { secretKeyFile: WRONG })).toBe(
      `failed: ${url} refused the access key kitty: SignatureDoesNotMatch`,
    );
    expect(await asked(stack, "store", { accessKey: "dog" })).toBe(
      `failed: ${url} refused the access key dog: XAdminUserNotFound`,
    );
    expect(await asked(stack, "store", { buckets: ["gone"] })).toBe(`failed: ${url} has no bucket gone`);
    // The check leaves nothing.
    expect((await send("GET", "/artifacts?list-type=2")).text).toMatch(/<KeyCount>1</);

    stack.change({ services: { store: { ...store, buckets: ["artifacts", "new"] } } });
    if (place === "container") await stack.stop("store");
    await started(stack, "store");
    expect((await send("GET", "/")).text).toMatch(/<Name>artifacts<[^]*<Name>new<[^]*<Name>other</);
    expect(await stack.log("store")).not.toContain(stack.secret("store.secretKey"));
  });
});

describe.each(places)("mqtt in: %s", (place) => {
  it("lets its user in and nobody else, and keeps retained messages", async () => {
    const [port, webSocketPort] = [await freePort(), await freePort()];
    await using stack = await appliedStack({ services: { bus: { kind: "mqtt", in: place, port, webSocketPort } } });
    await started(stack, "bus");
    const password = stack.secret("bus.password");
    const login = (user: string, secret: string) => connectPacket(`test-${user}`, user, secret);
    expect(await answers(port, [login("app", `${password}x`)])).toEqual([{ type: "connack", code: 5 }]);
    expect(await answers(port, [login("other", password)])).toEqual([{ type: "connack", code: 5 }]);
    expect(await answers(port, [Buffer.from("100c00044d5154540402003c0000", "hex")])).toEqual([
      { type: "connack", code: 5 },
    ]);
    const retained = publishPacket("home/light", "on");
    retained[0] = 0x31;
    const home = subscribePacket("home/#");
    const heard = { type: "publish", topic: "home/light", payload: "on" };
    await answers(port, [login("app", password), retained, home], (packet) => packet.type === "publish");
    await again(stack, "bus");
    const packets = await answers(port, [login("app", password), home], (packet) => packet.type === "publish");
    expect(packets).toContainEqual(heard);
    const where = `127.0.0.1:${port}`;
    expect(await asked(stack, "bus", {})).toBe(`${where} gave a message back to app`);
    expect(await asked(stack, "bus", { passwordFile: WRONG })).toBe(`failed: ${where} refused the login of app`);
    expect(await overWebSocket(webSocketPort, login("app", password))).toEqual({ type: "connack", code: 0 });
    // A listener for pages is no hole to the network.
    expect(listening(webSocketPort)).toEqual(["127.0.0.1"]);
    expect(await stack.log("bus")).not.toContain(password);
  });
});

describe.each(places)("prometheus in: %s", (place) => {
  it("asks its targets, and keeps what they answered", async () => {
    await using target = await serveHttp((_, response) => response.end("lab_answer 42\n"));
    const port = await freePort();
    const targets = place === "host" ? { lab: `${target.url}/metrics` } : {};
    const metrics = { kind: "prometheus", in: place, port, interval: "1s", targets };
    await using stack = await appliedStack({ services: { metrics } });
    await started(stack, "metrics");
    const ask = async (query: string) => {
      const response = await fetch(
        `http://127.0.0.1:${port}/api/v1/query?${new URLSearchParams({ query }).toString()}`,
      );
      return ((await response.json()) as { data: { result: { value: [number, string] }[] } }).data.result.map(
        ({ value }) => value[1],
      );
    };
    const [query, answer] = place === "host" ? ["lab_answer", "42"] : ['up{job="prometheus"}', "1"];
    await until("an answer of the target", async () => (await ask(query))[0] === answer);
    expect(await stack.outcome("metrics")).toMatchObject({
      detail: expect.stringContaining("targets that were asked") as string,
    });
    await again(stack, "metrics");
    expect(await ask(`count_over_time(${query}[5m]) > 0`)).toHaveLength(1);
  });
});

describeWithDocker("container", () => {
  const python = () => readImages(cacheDir)?.references.python ?? "";
  const serve = (more: object) => ({ kind: "container", image: python(), ...more });

  it("has its ports, files, mounts, volumes and secrets", async () => {
    const [port, admin] = [await freePort(), await freePort()];
    const box = serve({
      port,
      containerPort: 8000,
      ports: { admin: { port: admin, containerPort: 8001 } },
      // What runs as root without capabilities owns a new volume.
      command: [
        "sh",
        "-c",
        'printf %s "$TOKEN" > /data/token; python3 -m http.server 8001 & exec python3 -m http.server 8000 -d /etc/site',
      ],
      files: { "/etc/site/index.html": "secret ${secret.r} of ${self.url}" },
      mounts: { "/host": "tests/integration" },
      volumes: { data: "/data" },
      health: "/index.html",
      env: { TOKEN: "<${secret.r}>" },
    });
    await using stack = await appliedStack({ secrets: { r: { generate: 16 } }, services: { box } });
    await started(stack, "box");
    const text = async (at: number, path: string) => (await fetch(`http://127.0.0.1:${at}${path}`)).text();
    const secret = stack.secret("secret.r");
    expect(await text(port, "/index.html")).toBe(`secret ${secret} of http://box:8000`);
    expect(await text(admin, "/data/token")).toBe(`<${secret}>`);
    expect(await text(admin, "/host/")).toContain("runtime/");
    expect(JSON.stringify(await inspected(await stack.identity("box")))).not.toContain(secret);
  });

  it("runs as its image was made, and is ready by a command in it", async () => {
    const image = readImages(cacheDir)?.references.redis ?? "";
    const ready = { command: ["sh", "-c", "valkey-cli ping | grep PONG"] };
    await using stack = await appliedStack({ services: { box: { kind: "container", image, ready, readOnly: true } } });
    await started(stack, "box");
    expect((await inspected(await stack.identity("box"))).Config.Cmd).toEqual(["valkey-server"]);
  });

  it("gives arguments to its image's entry point", async () => {
    const image = readImages(cacheDir)?.references["llama-server"] ?? "";
    await using stack = await appliedStack({
      services: { box: { kind: "container", image, args: ["--version"], restart: "no" } },
    });
    await stack.apply("box");
    expect(await until("its version", async () => /version: \S+/.exec(await stack.log("box")))).toBeDefined();
  });

  it("is not ready while only the engine's proxy accepts", async () => {
    const port = await freePort();
    const late = "until test -e /tmp/go; do sleep 0.1; done; exec python3 -m http.server 8000";
    await using stack = await appliedStack({
      services: { box: serve({ port, containerPort: 8000, command: ["sh", "-c", late] }) },
    });
    await stack.apply("box");
    expect(await asked(stack, "box", {})).toBe(`pending: 127.0.0.1:${port} accepts connections and ends them at once`);
    const { run } = insideContainer(host, await stack.identity("box"));
    expect(await run(["touch", "/tmp/go"], AbortSignal.timeout(10_000))).toMatchObject({ exitCode: 0 });
    expect(await stack.outcome("box")).toEqual({ status: "ready", detail: `127.0.0.1:${port} accepts connections` });
  });
});

const inspected = (id: string) =>
  askEngine<{ readonly Config: { readonly Cmd: readonly string[] } }>(host, { path: `/containers/${id}/json` });

/** What the broker says to these, until it hangs up or `last` comes. */
async function answers(
  port: number,
  packets: readonly Buffer[],
  last?: (packet: Packet) => boolean,
): Promise<Packet[]> {
  const socket = connect({ host: "127.0.0.1", port });
  const found: Packet[] = [];
  let bytes: Buffer = Buffer.alloc(0);
  for (const packet of packets) socket.write(packet);
  const done = Promise.withResolvers<undefined>();
  socket.on("close", () => done.resolve(undefined));
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let next = decodePacket(bytes); next; next = decodePacket(bytes)) {
      bytes = bytes.subarray(next.length);
      found.push(next.packet);
      if (last?.(next.packet)) done.resolve(undefined);
    }
  });
  await done.promise;
  socket.destroy();
  return found;
}

async function overWebSocket(port: number, packet: Buffer): Promise<Packet | undefined> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, "mqtt");
  socket.binaryType = "arraybuffer";
  await once(socket, "open");
  socket.send(packet);
  const [{ data }] = (await once(socket, "message")) as [{ data: ArrayBuffer }];
  socket.close();
  return decodePacket(Buffer.from(data))?.packet;
}

/** Addresses on which this machine listens at a port, of IPv4; none of IPv6 may. */
function listening(port: number): readonly string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const lines = ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").split("\n"));
  const addresses = lines.flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return state === "0A" && local.endsWith(`:${hex}`) ? [local.split(":")[0] ?? ""] : [];
  });
  return addresses.map((address) => (address === "0100007F" ? "127.0.0.1" : address));
}
