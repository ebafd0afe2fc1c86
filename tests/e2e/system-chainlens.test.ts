import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { askRedis } from "#checks/redis.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom } from "../support/driver.ts";
import { exported } from "../support/exported.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { identityOf, isAlive, type Process } from "../support/processes.ts";
import { serveHttp, startRedis, type LocalServer, type Secured, type TestServer } from "../support/servers.ts";
import { systemSections, withExternal } from "../support/system-stack.ts";
import { listeners, passwordFile, testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Pulumi.chainlens.yaml as it stands but for its ports, by the "Works when" list of the system as far as up, preview
// and destroy go: C1 to C4, the first row of C6, C9 and C20 by destroy, C11, C12, C17. Does not prove: start, stop,
// --deep, and what the monitor says of what breaks.

foreignersStayUntouched();

/** Of the same length as a real one, and in no other file. */
const KEY = `anon-${process.pid}-${"k".repeat(40)}`;

const withKey = (clone: Checkout): Checkout => ({ ...clone, env: { ...clone.env, SUPABASE_ANON_KEY: KEY } });

async function portsOf<Name extends string>(...names: readonly Name[]): Promise<Record<Name, number>> {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const))) as Record<
    Name,
    number
  >;
}

const at = (port: number, path: string): string => `http://127.0.0.1:${port}${path}`;

const ofWorker = (stack: TestStack): readonly Process[] =>
  stack.processes().filter(({ env }) => env.includes("ENGINEROOM_SERVICE=worker"));

/** Where the account of the services may make a directory. */
const RECORDS = join(tmpdir(), `chainlens-${process.pid}`);
afterAll(() => rmSync(RECORDS, { recursive: true, force: true }));

/** The file's own monitor, which would write where a user's does. */
function monitor(): object {
  const { env } = systemSections("chainlens", {}, {}).services["monitor"] ?? {};
  return { monitor: { env: { ...(env as object), LOG_DIR: RECORDS } } };
}

// One for all, so that the environments of the applications are built once.
let clone: Checkout;
beforeAll(() => {
  clone = checkout();
});
afterAll(() => clone[Symbol.dispose]());

describe("what it is", () => {
  let stack: TestStack;
  let ports: Record<"redis" | "supabase" | "backend" | "frontend", number>;
  let up: Ended;
  const sections = (more: Readonly<Record<string, object>> = {}) =>
    systemSections(
      "chainlens",
      { data: "disposable" },
      { ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, { port }])), ...monitor(), ...more },
    );

  beforeAll(async () => {
    ports = await portsOf("redis", "supabase", "backend", "frontend");
    stack = testStack(withKey(clone), "chainlens", sections());
    up = await engineroom.run(stack, "up");
  });

  afterAll(() => stack[Symbol.asyncDispose]());

  it("C1: comes up, with one worker that has the system's own command line", async () => {
    expect(up.exitCode, up.output).toBe(0);
    for (const port of [ports.frontend, ports.backend]) expect(up.output).toContain(at(port, ""));
    expect(Object.keys(await stack.pids()).sort()).toEqual([
      "backend",
      "frontend",
      "monitor",
      "redis",
      "supabase",
      "worker",
    ]);
    const processes = ofWorker(stack);
    expect(processes.map(({ argv }) => argv).join("\n")).toContain(
      "--processes 1 --threads 1 run_agent_background --verbose",
    );
    expect([2, 3]).toContain(processes.length);
  });

  it("C2: every part of it answers", async () => {
    const place = { host: "127.0.0.1", port: ports.redis, passwordFile: passwordFile(stack.places, "redis") };
    expect(await askRedis(place, AbortSignal.timeout(5000), [["PING"]])).toEqual({ replies: ["PONG"] });
    const rest = at(ports.supabase, "/rest/v1/");
    expect((await fetch(rest, { headers: { apikey: KEY } })).status).toBe(200);
    expect((await fetch(rest)).status).toBe(401);
    const health = await fetch(at(ports.backend, "/health"));
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: "healthy", dependencies: { redis: "healthy", supabase: "healthy" } },
    ]);
    expect((await fetch(at(ports.frontend, "/"))).status).toBe(200);
  });

  const post = async (path: string, body: object): Promise<Record<string, string>> => {
    const answer = await fetch(at(ports.backend, path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await answer.json()) as Record<string, string>;
  };

  /** What becomes of a message on a new thread. */
  async function ending(text: string): Promise<unknown> {
    const { thread_id: thread } = await post("/api/threads", {});
    const { run_id: run } = await post(`/api/threads/${thread ?? ""}/messages`, { text });
    return until("the run to end", async () => {
      const found = (await (await fetch(at(ports.backend, `/api/runs/${run ?? ""}`))).json()) as { state: string };
      return ["queued", "running"].includes(found.state) ? undefined : found;
    });
  }

  it("C4: a message is answered; one that fails leaves the next one its answer", async () => {
    expect(await ending("hello")).toEqual({ state: "done", answer: "You said: hello" });
    expect(await ending("fail")).toEqual({ state: "failed", answer: null });
    expect(await ending("again")).toEqual({ state: "done", answer: "You said: again" });
    const log = readFileSync(`${stack.places.logsDir}/worker.log`, "utf8");
    expect(log.match(/the generator was closed properly/g)).toHaveLength(3);
    expect(log).not.toContain("async generator ignored GeneratorExit");
  });

  it("C3: a second up changes nothing", async () => {
    const before = await stack.running();
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(await stack.running()).toEqual(before);
  });

  it("C6: the monitor has written a row that says what runs, and a line", async () => {
    const [header = "", ...rows] = readFileSync(join(RECORDS, "metrics.log"), "utf8").trim().split("\n");
    expect(header).toBe(
      "timestamp,frontend_status,backend_status,worker_status,redis_status,frontend_mem_mb,backend_mem_mb,worker_mem_mb,redis_mem_mb,dramatiq_processes",
    );
    const [time, ...cells] = (rows[0] ?? "").split(",");
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
    expect(cells.slice(0, 4)).toEqual(["healthy", "healthy", "healthy", "healthy"]);
    expect(cells.slice(4, 8).map((cell) => Number(cell) > 1)).toEqual([true, true, true, true]);
    expect(Number(cells[8])).toBe(ofWorker(stack).length);
    const { monitor } = await stack.pids();
    const lines = readFileSync(join(RECORDS, "monitoring.log"), "utf8").trim().split("\n");
    expect(lines[0]).toMatch(new RegExp(` STATUS monitor started, PID ${monitor?.pid ?? 0}$`));
    expect(lines[1]).toMatch(/ INFO all healthy, [23] Dramatiq processes$/);
  });

  it("C12: the key is in no output, log or plain state", async () => {
    const logs = ["worker", "backend", "frontend", "supabase"].map((name) =>
      readFileSync(`${stack.places.logsDir}/${name}.log`, "utf8"),
    );
    const shown = await stack.run(["./engineroom", "--stack", stack.name, "plan", "--json"]);
    const said = [up.output, shown.output, JSON.stringify(await exported(stack)), ...logs].filter((text) =>
      text.includes(KEY),
    );
    expect(said).toEqual([]);
  });

  it("C12: without the key preview fails and names its variable", async () => {
    const { SUPABASE_ANON_KEY: _key, ...env } = stack.checkout.env;
    const preview = await stack.run(engineroom.argv(stack, "preview"), { env });
    expect(preview.exitCode).toBe(1);
    expect(preview.output).toContain("expected the variable SUPABASE_ANON_KEY to be set, got nothing");
  });

  it("C17: another number of threads is another worker, and nothing else", async () => {
    const before = await stack.running();
    stack.write(sections({ worker: { threads: 2 } }));
    const changed = await engineroom.run(stack, "up");
    expect(changed.exitCode, changed.output).toBe(0);
    const after = await stack.running();
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["worker"]);
    expect(
      ofWorker(stack)
        .map(({ argv }) => argv)
        .join("\n"),
    ).toContain("--processes 1 --threads 2 run_");
  });

  it("C20: destroy leaves nothing of it, and again is no failure", async () => {
    for (const time of ["once", "twice"]) {
      const destroy = await engineroom.run(stack, "destroy");
      expect(destroy.exitCode, `${time}: ${destroy.output}`).toBe(0);
    }
    expect(stack.processes()).toEqual([]);
    for (const port of Object.values(ports)) expect(await listeners(port)).toEqual([]);
    const lines = readFileSync(join(RECORDS, "monitoring.log"), "utf8").trim().split("\n");
    expect(lines.at(-1)).toMatch(/ STATUS monitor stopped$/);
    expect(lines.filter((line) => / (WARNING|ALERT) /.test(line))).toEqual([]);
  });
});

describe("on a Redis and a Supabase of somebody else", () => {
  let stack: TestStack;
  let number = 0;
  let redis: TestServer & Secured;
  let supabase: LocalServer;
  let status: number;

  beforeEach(async () => {
    redis = await startRedis();
    status = 200;
    supabase = await serveHttp((_request, response) => {
      response.writeHead(status, { "content-type": "application/json" }).end("[]");
    });
    stack = testStack(withOwnPassword(withKey(clone)), `chainlens-${++number}`, await sections());
  });

  afterEach(async () => {
    await stack[Symbol.asyncDispose]();
    await supabase[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  const withOwnPassword = (one: Checkout): Checkout => ({ ...one, env: { ...one.env, REDIS_SECRET: redis.password } });

  /** `change` replaces settings of the external Redis. */
  async function sections(change: object = {}) {
    const own = systemSections(
      "chainlens",
      {},
      { backend: { port: await freePort() }, frontend: { port: await freePort() }, ...monitor() },
    );
    const external = withExternal(own, {
      redis: { port: redis.port, password: "${secret.redis}", ready: { timeout: "3s" }, ...change },
      supabase: { port: supabase.port, ready: { timeout: "3s" } },
    });
    return { ...external, secrets: { ...external.secrets, redis: { env: "REDIS_SECRET" } } };
  }

  const programs = (): readonly string[] =>
    stack.processes().flatMap(({ env }) => env.find((one) => one.startsWith("ENGINEROOM_SERVICE=")) ?? []);

  it("C11: a Redis that is down is named by host and port, and nothing was started", async () => {
    const port = await freePort();
    stack.write(await sections({ port }));
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toMatch(new RegExp(`redis: not ready after .* 127\\.0\\.0\\.1:${port} refused`));
    expect(up.output).toContain("Fix: start it where it runs (in: external: engineroom only asks it)");
    expect(programs()).toEqual([]);
  });

  it("C11: a Supabase that answers 500 is named by URL and 500, and nothing was started", async () => {
    status = 500;
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toMatch(
      new RegExp(`supabase: not ready after .* http://127\\.0\\.0\\.1:${supabase.port}/health answered 500`),
    );
    expect(programs()).toEqual([]);
  });

  it("a wrong password is told apart, and never shown", async () => {
    const wrong = "wrong-password-of-this-test";
    const env = { ...stack.checkout.env, REDIS_SECRET: wrong };
    const up = await stack.run(engineroom.argv(stack, "up"), { env });
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toContain(`redis: 127.0.0.1:${redis.port} refused the login`);
    expect(up.output).not.toContain(wrong);
    expect(programs()).toEqual([]);
  });

  it("is up, notices that one is gone, and leaves both alone", async () => {
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    const running = await stack.running();
    expect(Object.keys(running).sort()).toEqual(["backend", "frontend", "monitor", "worker"]);

    const stateOf = async () => {
      const { stdout } = await stack.run(["./engineroom", "--stack", stack.name, "status", "--json"]);
      const { services } = JSON.parse(stdout) as { services: { name: string; in: string; state: string }[] };
      return services.find(({ name }) => name === "supabase");
    };
    expect(await stateOf()).toMatchObject({ in: "external", state: "external" });
    const workers = await stack.run(["./engineroom", "--stack", stack.name, "workers", "--json"]);
    const { brokers } = JSON.parse(workers.stdout) as {
      brokers: { consumers: { owner: string; service: string }[] }[];
    };
    expect(brokers.flatMap(({ consumers }) => consumers.map(({ owner, service }) => `${owner} ${service}`))).toEqual([
      "own worker",
    ]);
    const logs = await stack.run(["./engineroom", "--stack", stack.name, "logs", "redis"]);
    expect(logs.output).toContain(`redis: somebody else runs it (127.0.0.1:${redis.port}), and has its log`);

    status = 500;
    expect(await stateOf()).toMatchObject({ in: "external", state: "unhealthy" });
    const preview = await engineroom.run(stack, "preview");
    expect(preview.output).toContain(
      `supabase: http://127.0.0.1:${supabase.port}/health answered 500; up asks it again`,
    );
    const failed = await engineroom.run(stack, "up");
    expect(failed.exitCode, failed.output).toBe(1);
    expect(await stack.running()).toEqual(running);
    status = 200;
    const mended = await engineroom.run(stack, "up");
    expect(mended.exitCode, mended.output).toBe(0);
    expect(await stack.running()).toEqual(running);

    const before = identityOf(redis.pid)!;
    for (const time of ["once", "twice"]) {
      const destroy = await engineroom.run(stack, "destroy");
      expect(destroy.exitCode, `${time}: ${destroy.output}`).toBe(0);
    }
    expect(stack.processes()).toEqual([]);
    expect(isAlive(before)).toBe(true);
    expect((await fetch(`http://127.0.0.1:${supabase.port}/`)).status).toBe(200);
  });
});
