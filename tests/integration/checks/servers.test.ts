// Each probe against the real server. Does not prove anything about containers or about a GPU.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { Check, Outcome } from "#checks/check.ts";
import { processTree } from "#checks/process-tree.ts";
import { readGguf } from "#checks/gguf.ts";
import { runCheck } from "#checks/run.ts";
import type { ProbeContext } from "#checks/run.ts";
import { estimateLoad } from "#checks/vram.ts";
import {
  canary,
  freePort,
  modelFile,
  serveHttp,
  serveSilence,
  startDramatiqWorker,
  startLlamaServer,
  startNginx,
  startPostgres,
  startRedis,
  temporaryDir,
  writeFor,
} from "#tests/support/servers.ts";

const patient = { timeoutMs: 30_000, attemptMs: 10_000 };
const brief = { timeoutMs: 700, attemptMs: 300 };

async function outcomeOf(check: Check, context: ProbeContext = {}, policy = patient): Promise<Outcome> {
  const { outcome } = await runCheck(check, policy, context);
  expect(JSON.stringify(outcome)).not.toContain(canary);
  return outcome;
}

const status = async (...args: Parameters<typeof outcomeOf>) => (await outcomeOf(...args)).status;

describe("postgres", () => {
  it("is ready when a row was selected, and failed with the wrong password or database", async () => {
    await using server = await startPostgres();
    const { host, port, user, database, passwordFile } = server;
    const check = { kind: "postgres", host, port, user, database, passwordFile } as const;
    const where = `${host}:${port}`;
    expect(await outcomeOf(check)).toEqual({
      status: "ready",
      detail: `${where} selected a row as app in postgres`,
    });
    const wrong = writeFor(server.dir, "wrong", "wrong\n");
    expect(await outcomeOf({ ...check, passwordFile: wrong })).toEqual({
      status: "failed",
      reason: `${where} refused the login of app: password authentication failed for user "app"`,
      fix: `declare the password of the role app: ${wrong} holds another`,
    });
    expect(await outcomeOf({ kind: "postgres", host, port, user, database })).toMatchObject({ status: "failed" });
    expect(await outcomeOf({ ...check, database: "nope" })).toEqual({
      status: "failed",
      reason: `${where}: database "nope" does not exist`,
      fix: "create it, or correct `database`: expected nope",
    });
    const missing = join(server.dir, "missing");
    expect(await outcomeOf({ ...check, passwordFile: missing })).toEqual({
      status: "failed",
      reason: `the password file ${missing} does not exist`,
      fix: "./engineroom up writes it anew",
    });
  });

  it("takes no password from the environment", async () => {
    await using server = await startPostgres();
    const { host, port, user, database, password } = server;
    process.env["PGPASSWORD"] = password;
    try {
      expect(await status({ kind: "postgres", host, port, user, database })).toBe("failed");
    } finally {
      delete process.env["PGPASSWORD"];
    }
  });
});

describe("redis", () => {
  it("is ready when a key came back, and failed with the wrong password or policy", async () => {
    await using server = await startRedis();
    const { host, port, passwordFile } = server;
    const check = { kind: "redis", host, port, passwordFile, policy: "noeviction" } as const;
    const where = `${host}:${port}`;
    expect(await outcomeOf(check)).toEqual({
      status: "ready",
      detail: `${where} kept and gave back a key, eviction policy noeviction`,
    });
    const wrong = writeFor(server.dir, "wrong", "wrong\n");
    expect(await outcomeOf({ ...check, passwordFile: wrong })).toEqual({
      status: "failed",
      reason: `${where} refused the login: WRONGPASS invalid username-password pair or user is disabled.`,
      fix: `declare the password that it was started with: ${wrong} holds another`,
    });
    expect(await outcomeOf({ kind: "redis", host, port, policy: "noeviction" })).toEqual({
      status: "failed",
      reason: `${where} refused the login: NOAUTH Authentication required.`,
      fix: "declare the password that it asks for",
    });
    expect(await outcomeOf({ ...check, policy: "allkeys-lfu" })).toMatchObject({
      status: "failed",
      reason: `${where}: expected the eviction policy allkeys-lfu, got noeviction`,
    });
  });

  it("leaves no key behind", async () => {
    await using server = await startRedis();
    const { host, port, passwordFile } = server;
    expect(await status({ kind: "redis", host, port, passwordFile, policy: "noeviction" })).toBe("ready");
    const { askRedis } = await import("#checks/redis.ts");
    expect(await askRedis(server, AbortSignal.timeout(1000), [["DBSIZE"]])).toEqual({ replies: [0] });
  });

  it("names a server without a password where one is declared", async () => {
    await using server = await startRedis({ password: "" });
    const { host, port, dir } = server;
    const passwordFile = writeFor(dir, "declared", canary);
    expect(await outcomeOf({ kind: "redis", host, port, passwordFile, policy: "noeviction" })).toMatchObject({
      status: "failed",
      reason: `${host}:${port} has no password set, but one is declared`,
    });
  });
});

describe("http and tcp", () => {
  it("sees a real nginx, its own header, its redirects and its dead upstream", async () => {
    const dead = await freePort();
    await using server = await startNginx([
      `location = /health { add_header X-Engineroom mine always; default_type application/json; return 200 '{"status":"ok"}'; }`,
      `location = /moved { return 301 /health; }`,
      `location = /api { proxy_pass http://127.0.0.1:${dead}; }`,
    ]);
    const url = `http://${server.host}:${server.port}`;
    const header = { name: "X-Engineroom", value: "mine" };
    expect(await status({ kind: "http", url: `${url}/health`, header, json: { status: "ok" } })).toBe("ready");
    expect(await status({ kind: "http", url: `${url}/health`, header: { ...header, value: "other" } })).toBe("failed");
    expect(await status({ kind: "http", url: `${url}/moved` })).toBe("failed");
    expect(await status({ kind: "http", url: `${url}/nothing` })).toBe("failed");
    expect(await status({ kind: "http", url: `${url}/api` }, {}, brief)).toBe("pending");
    expect(await status({ kind: "tcp", host: server.host, port: server.port })).toBe("ready");
    expect(await status({ kind: "tcp", host: server.host, port: dead }, {}, brief)).toBe("pending");
  });
});

describe("llama-server", () => {
  it("goes from loading to a generated token, and tells another alias, size and key", async () => {
    await using server = await startLlamaServer({ alias: "gemma-270m", contextSize: 1024, apiKey: canary });
    const url = `http://${server.host}:${server.port}`;
    const check = { kind: "llama-server", url, alias: "gemma-270m", contextSize: 1024 } as const;
    const reasons: string[] = [];
    const { outcome } = await runCheck(
      { ...check, apiKeyFile: server.keyFile },
      { timeoutMs: 60_000, attemptMs: 20_000 },
      { onPending: ({ reason }) => reasons.push(reason) },
    );
    expect(outcome).toEqual({ status: "ready", detail: `${url} generated a token with gemma-270m` });
    for (const reason of reasons) expect(reason).toBe(`${url}/health answered 503: Loading model`);
    expect(await outcomeOf({ ...check, apiKeyFile: server.keyFile, alias: "other" })).toMatchObject({
      status: "failed",
      reason: `another server answers on ${url}: expected the model "other", got "gemma-270m"`,
    });
    expect(await outcomeOf({ ...check, apiKeyFile: server.keyFile, contextSize: 2048 })).toMatchObject({
      status: "failed",
      reason: `${url}: expected a context of 2048 tokens, got 1024 in each of 1 slots`,
    });
    expect(await outcomeOf(check)).toMatchObject({
      status: "failed",
      fix: "make the check's key file hold a key of the server",
    });
    const wrong = writeFor(server.dir, "wrong", "wrong");
    expect(await outcomeOf({ ...check, apiKeyFile: wrong })).toMatchObject({ status: "failed" });
  });

  // Its memory is the machine's here; weights and cache are the same numbers wherever they lie.
  it("takes for weights and cache what was estimated, and is known to run on the CPU though it says of all layers that they are on a GPU", async () => {
    const args = ["--n-gpu-layers", "999", "--log-verbosity", "4"];
    await using server = await startLlamaServer({ alias: "gemma-270m", contextSize: 2048, args });
    const url = `http://${server.host}:${server.port}`;
    const check = { kind: "llama-server", url, alias: "gemma-270m", contextSize: 2048 } as const;
    const log = () => Promise.resolve(server.log().split("\n"));
    expect(await outcomeOf({ ...check, gpu: { required: true, layers: "all" } }, { log })).toMatchObject({
      status: "failed",
      reason: "it runs on the CPU: none of the memory that it took is a GPU's",
    });
    expect(await outcomeOf({ ...check, gpu: { required: false, layers: "all" } }, { log })).toMatchObject({
      status: "ready",
      degraded: "it runs on the CPU: none of the memory that it took is a GPU's",
    });
    const model = await readGguf(modelFile);
    if (model.status !== "good") throw new Error(JSON.stringify(model));
    const load = { name: "gemma", layers: "all", contextSize: 2048, parallel: 1, cacheTypes: ["f16", "f16"] } as const;
    const { weights, cache } = estimateLoad(load, { headers: [model.header], mmprojBytes: 0 });
    const logged = (what: string): number =>
      [...server.log().matchAll(new RegExp(`CPU\\S* +${what} buffer size = +([\\d.]+) MiB`, "g"))].reduce(
        (sum, [, size]) => sum + Number(size),
        0,
      );
    const mapped = Number(/CPU_Mapped model buffer size = +([\d.]+) MiB/.exec(server.log())?.[1]);
    expect(weights / 2 ** 20).toBeCloseTo(mapped, 2);
    expect(logged("KV") * 2 ** 20).toBeGreaterThanOrEqual(Math.floor(cache.low));
    expect(logged("KV") * 2 ** 20).toBeLessThanOrEqual(cache.high);
  });
});

describe("dramatiq-worker", () => {
  it("is ready for its own workers only", async () => {
    await using broker = await startRedis();
    const { host, port, passwordFile } = broker;
    const check = { kind: "dramatiq-worker", host, port, passwordFile, processes: 2, namespace: "dramatiq" } as const;
    const nobody = () => Promise.resolve([process.pid]);
    expect(await outcomeOf(check, { processTree: nobody }, brief)).toEqual({
      status: "pending",
      reason: `0 of 2 worker processes consume from ${host}:${port}`,
    });
    await using worker = await startDramatiqWorker(broker, { processes: 2 });
    const own = () => Promise.resolve(processTree(worker.pid));
    expect(await outcomeOf(check, { processTree: own })).toEqual({
      status: "ready",
      detail: `2 worker processes consume from ${host}:${port} with a fresh heartbeat`,
    });
    // The same facts in Redis, but the workers belong to somebody else.
    const strange = await outcomeOf(check, { processTree: nobody }, brief);
    expect(strange).toMatchObject({
      status: "pending",
      reason: expect.stringMatching(/^0 of 2 worker processes consume .*; \d+ connections there dispatch/) as string,
    });
    expect(await status({ ...check, processes: 3 }, { processTree: own }, brief)).toBe("pending");
    expect(await status({ ...check, namespace: "other" }, { processTree: own }, brief)).toBe("pending");
    const wrong = writeFor(broker.dir, "wrong", "wrong");
    expect(await status({ ...check, passwordFile: wrong }, { processTree: own })).toBe("failed");
    expect(await outcomeOf(check, { processTree: () => Promise.resolve([]) }, brief)).toEqual({
      status: "pending",
      reason: "no process of the worker runs",
    });
  });
});

describe("every probe", () => {
  const tree = { processTree: () => Promise.resolve([process.pid]) };
  const checksOf = (host: string, port: number): Check[] => [
    { kind: "http", url: `http://${host}:${port}/`, json: { status: "ok" } },
    { kind: "postgres", host, port, user: "app", database: "app" },
    { kind: "redis", host, port, policy: "noeviction" },
    { kind: "llama-server", url: `http://${host}:${port}`, alias: "a", contextSize: 1 },
    { kind: "dramatiq-worker", host, port, processes: 1, namespace: "dramatiq" },
    {
      kind: "object-store",
      url: `http://${host}:${port}`,
      region: "us-east-1",
      accessKey: "app",
      secretKeyFile: "/proc/sys/kernel/ostype",
      buckets: ["lab"],
    },
    { kind: "mqtt", host, port, user: "app" },
    { kind: "prometheus", url: `http://${host}:${port}` },
  ];

  it("waits for a server that accepts and never answers, and names it", async () => {
    await using server = await serveSilence();
    for (const check of checksOf(server.host, server.port)) {
      const outcome = await outcomeOf(check, tree, brief);
      expect(outcome, check.kind).toMatchObject({
        status: "pending",
        reason: expect.stringContaining("no answer within 0.3 s") as string,
      });
    }
  });

  it("waits while nobody listens", async () => {
    const port = await freePort();
    for (const check of checksOf("127.0.0.1", port))
      expect(await outcomeOf(check, tree, brief), check.kind).toMatchObject({
        status: "pending",
        reason: expect.stringContaining("refused the connection") as string,
      });
  });

  it("is not ready where a web server answers 200 with the wrong body", async () => {
    await using server = await serveHttp((_, response) => response.end("<html>It works!</html>"));
    for (const check of checksOf(server.host, server.port))
      expect(await status(check, tree, brief), check.kind).toBe(check.kind === "http" ? "pending" : "failed");
  });
});

describe("command", () => {
  const ps = async (text: string) => {
    const { stdout } = await promisify(execFile)("ps", ["-eo", "args"]);
    return stdout.split("\n").filter((line) => line.includes(text));
  };

  it("is ready at exit code 0, in its directory, with its arguments as they are", async () => {
    await using dir = await temporaryDir();
    await writeFile(join(dir.path, "a b"), "");
    const argv = ["test", "-e", "a b"];
    expect(await outcomeOf({ kind: "command", argv, cwd: dir.path })).toEqual({
      status: "ready",
      detail: "test ended with exit code 0",
    });
  });

  it("waits at another exit code, and shows the last line", async () => {
    const argv = ["sh", "-c", "echo one; echo two >&2; exit 3"];
    expect(await outcomeOf({ kind: "command", argv }, {}, brief)).toEqual({
      status: "pending",
      reason: "sh ended with exit code 3: two",
    });
  });

  it("ends what hangs, with all that it started", async () => {
    const argv = ["sh", "-c", "sleep 98765 & echo started; wait"];
    expect(await outcomeOf({ kind: "command", argv }, {}, brief)).toEqual({
      status: "pending",
      reason: "sh did not end in time: started",
    });
    expect(await ps("sleep 98765")).toEqual([]);
  });

  it("fails where there is no such program, or no right to run it", async () => {
    await using dir = await temporaryDir();
    const path = join(dir.path, "program");
    expect(await status({ kind: "command", argv: [path] })).toBe("failed");
    await writeFile(path, "");
    expect(await outcomeOf({ kind: "command", argv: [path] })).toMatchObject({ fix: `chmod +x ${path}` });
  });
});
