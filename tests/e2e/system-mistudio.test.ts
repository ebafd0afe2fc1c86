import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { askRedis } from "#checks/redis.ts";
import { lookAtGpus } from "#observe/gpu.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { pulumi, pulumiCommand } from "../support/driver.ts";
import { engine, NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { mistudio, type Ports } from "../support/mistudio.ts";
import { noOllama } from "../support/ollama.ts";
import { isAlive, startStranger, watchProcesses } from "../support/processes.ts";
import {
  listeners,
  passwordFile,
  testStack,
  type Ended,
  type Sections,
  type TestStack,
} from "../support/test-stack.ts";
import { filesThatHold, toldByEngine } from "../support/told.ts";
import { until } from "../support/until.ts";

// Pulumi.mistudio.yaml with the stand-ins of its applications and the small model: what its requirement sheet
// says works after up, an edit and destroy. Numbers are those of the sheet.

const DOMAIN = "mistudio.mcslab.io";
const CANARY = `kanarienvogel${process.pid}`;
const CONTAINERS = ["mistudio-nginx", "mistudio-ollama", "mistudio-postgres", "mistudio-redis"];
const PROCESSES = ["backend", "celery-beat", "celery-worker", "frontend", "relay"];
const hasGpu = (await lookAtGpus()).state === "seen";
const isRoot = process.getuid?.() === 0;

foreignersStayUntouched();

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

describeWithDocker(
  "stack mistudio",
  () => {
    let clone: Checkout;
    let stack: TestStack;
    let sections: Sections;
    let ports: Ports;
    let frontend: string;
    const said: string[] = [];

    beforeAll(async () => {
      clone = checkout();
      frontend = join(clone.dir, "examples/systems/mistudio/frontend");
      const file = join(clone.base, "password");
      writeFileSync(file, CANARY, { mode: 0o600 });
      const found = await mistudio(`-${process.pid}`);
      ports = found.ports;
      sections = {
        ...found.sections,
        secrets: { db: { file } },
        services: change(found.sections, "mistudio-postgres", { password: "${secret.db}" }),
      };
      stack = testStack(clone, "mistudio", sections);
      const small = await run("models", "use", "small", "--yes");
      expect(small.exitCode, small.output).toBe(0);
      sections = { ...sections, settings: { models: "small" } };
    });

    afterAll(async () => {
      await stack[Symbol.asyncDispose]();
      clone[Symbol.dispose]();
    });

    async function run(...argv: readonly string[]): Promise<Ended> {
      const ended = await stack.run(["./engineroom", "--stack", stack.name, ...argv]);
      said.push(ended.output);
      return ended;
    }

    async function up(): Promise<Ended> {
      const ended = await run("up", "--yes");
      expect(ended.exitCode, ended.output).toBe(0);
      return ended;
    }

    async function refused(...words: readonly string[]): Promise<void> {
      for (const verb of ["preview", "up"]) {
        const ended = await run(verb);
        expect(ended.exitCode, ended.output).toBe(1);
        for (const word of words) expect(ended.output).toContain(word);
      }
      expect(stack.processes()).toEqual([]);
      expect(await stack.holdings()).toEqual(NOTHING);
    }

    function change({ services }: Sections, name: string, more: object): Sections["services"] {
      return { ...services, [name]: { ...services[name], ...more } };
    }

    /** Through nginx, under the domain, unless a port is given. */
    async function ask(path: string, { port, json }: { port?: number; json?: object } = {}): Promise<Answer> {
      const call = request({
        ...{ host: "127.0.0.1", port: port ?? ports["mistudio-nginx"], path, agent: false },
        method: json ? "POST" : "GET",
        headers: { ...(port === undefined && { host: DOMAIN }), ...(json && { "content-type": "application/json" }) },
      });
      call.end(json && JSON.stringify(json));
      const [response] = (await once(call, "response")) as [IncomingMessage];
      const pieces = await response.setEncoding("utf8").toArray();
      return {
        status: response.statusCode ?? 0,
        type: response.headers["content-type"] ?? "",
        body: pieces.join(""),
      };
    }

    const statusOf = (path: string, port?: number): Promise<number> =>
      ask(path, port === undefined ? {} : { port }).then(
        ({ status }) => status,
        () => 0,
      );

    async function redis(database: number, ...command: readonly string[]): Promise<unknown> {
      const place = {
        host: "127.0.0.1",
        port: ports["mistudio-redis"],
        passwordFile: passwordFile(stack.places, "mistudio-redis"),
      };
      const select = ["SELECT", String(database)];
      const answer = await askRedis(place, AbortSignal.timeout(10_000), [select, command]);
      if ("outcome" in answer) throw new Error(JSON.stringify(answer.outcome));
      return answer.replies[1];
    }

    /** As `docker exec` does, by the engine's own interface. */
    async function inside(service: string, ...command: readonly string[]): Promise<string> {
      const name = (await stack.containers())[service]?.Name.slice(1) ?? "";
      const { stdout } = await stack.run(["docker", "exec", name, ...command]);
      return stdout;
    }

    /** What nginx says all the time, while the target itself answers before and after; `away` while it does not. */
    function watchThrough(through: string, { path, port }: { readonly path: string; readonly port: number }) {
      const seen: string[] = [];
      const end = new AbortController();
      const loop = (async () => {
        while (!end.signal.aborted) {
          const first = await statusOf(path, port);
          const nginx = await statusOf(through);
          const last = await statusOf(path, port);
          seen.push(first === 200 && last === 200 ? String(nginx) : "away");
        }
      })();
      return {
        seen,
        [Symbol.asyncDispose]: async () => {
          end.abort();
          await loop;
        },
      };
    }

    /** One of each that follow one another. */
    const phases = (seen: readonly string[]): readonly string[] => seen.filter((one, at) => one !== seen[at - 1]);

    it("M16: is refused while the packages of the frontend are not installed, and nothing was started", async () => {
      await refused("node_modules", "npm install", "[PACKAGES_MISSING]");
      const ci = await stack.run(["npm", "ci", "--no-audit", "--no-fund"], { cwd: frontend });
      expect(ci.exitCode, ci.output).toBe(0);
    });

    it.runIf(isRoot)("is refused while the account of the services is kept out of the sources", async () => {
      await refused(
        `engineroom, as which services run where root starts them, to enter ${clone.dir}`,
        "[SOURCE_ACCESS]",
      );
      chmodSync(clone.dir, 0o755);
      await refused(`to write ${frontend}/node_modules`, "[SOURCE_ACCESS]");
      execFileSync("chown", ["-R", "engineroom", join(frontend, "node_modules")]);
    });

    it("M9: is refused while a stranger has a port, who is named and left alone", async () => {
      const { backend } = ports;
      const argv = ["/usr/bin/python3", "-m", "http.server", String(backend), "--bind", "127.0.0.1"];
      await using stranger = await startStranger(argv, clone.base);
      await until("the stranger to listen", async () => (await listeners(backend)).length > 0);
      await refused(`expected port ${backend} to be free, got process ${stranger.pid} (${argv.join(" ")})`);
      expect(isAlive(stranger)).toBe(true);
    });

    it.skipIf(hasGpu)("M18: is refused on a machine without a GPU where one is required", async () => {
      stack.write({ ...sections, services: change(sections, "mistudio-ollama", { gpu: "all" }) });
      await refused("services.mistudio-ollama.gpu", "[GPU_MISSING]");
      stack.write(sections);
    });

    it("M1: comes up, all eight services", async () => {
      await using watch = watchProcesses();
      await up();
      expect(Object.keys(await stack.pids()).sort()).toEqual(PROCESSES);
      const containers = await stack.containers();
      expect(Object.values(containers).map(({ Name, State }) => [Name, State.Status])).toEqual(
        CONTAINERS.map((name) => [`/${name}-${process.pid}`, "running"]),
      );
      for (const port of Object.values(ports)) {
        const socket = connect({ host: "127.0.0.1", port });
        await once(socket, "connect");
        socket.destroy();
      }
      const { services } = JSON.parse((await run("status", "--json")).stdout) as {
        readonly services: readonly { readonly name: string; readonly state: string }[];
      };
      expect(Object.fromEntries(services.map(({ name, state }) => [name, state]))).toEqual({
        ...Object.fromEntries([...CONTAINERS, ...PROCESSES].map((name) => [name, "ready"])),
        "mistudio-ollama": hasGpu ? "ready" : "degraded",
        migrations: "done",
      });
      expect(watch.looks).toBeGreaterThan(20);
      expect(watch.seen().filter(({ argv }) => argv.includes(CANARY))).toEqual([]);
    });

    it("M2: each does its work", async () => {
      expect(await ask("/api/v1/datasets", { port: ports.backend })).toEqual({
        status: 200,
        type: "application/json",
        body: "[]",
      });
      expect(await statusOf("/docs", ports.backend)).toBe(200);
      const select = ["psql", "-U", "postgres", "-d", "mistudio", "-tAc", "SELECT 1"];
      expect(await inside("mistudio-postgres", ...select)).toBe("1");
      const ping = 'REDISCLI_AUTH="$(cat /run/engineroom/password)" valkey-cli -p "$0" ping';
      expect(await inside("mistudio-redis", "sh", "-c", ping, String(ports["mistudio-redis"]))).toBe("PONG");
      const test = ["nginx", "-p", "/tmp/", "-e", "stderr", "-t", "-c", "/run/engineroom/nginx.conf"];
      const { Name } = (await stack.containers())["mistudio-nginx"]!;
      expect((await stack.run(["docker", "exec", Name.slice(1), ...test])).exitCode).toBe(0);
    });

    it("M3: answers through nginx under its domain as it does directly", async () => {
      const page = await ask("/");
      expect([page.status, page.body]).toEqual([200, expect.stringContaining("<title>miStudio</title>")]);
      expect(page).toEqual(await ask("/", { port: ports.frontend }));
      expect(await ask("/api/v1/datasets", { json: { name: "pile" } })).toMatchObject({ status: 201 });
      const datasets = await ask("/api/v1/datasets");
      expect(datasets.body).toBe('[{"name":"pile","id":1}]');
      expect(datasets).toEqual(await ask("/api/v1/datasets", { port: ports.backend }));
      const tags = await ask("/api/tags", { port: ports["mistudio-ollama"] });
      const models = await ask("/ollama/v1/models");
      const listed = (JSON.parse(tags.body) as { models: readonly { name: string }[] }).models.map(({ name }) => name);
      expect(listed).toEqual(["gemma2:2b"]);
      expect((JSON.parse(models.body) as { data: readonly { id: string }[] }).data.map(({ id }) => id)).toEqual(listed);
    });

    it("greets and echoes on its WebSocket", async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${ports["mistudio-nginx"]}/ws/`);
      const next = async (): Promise<unknown> => ((await once(socket, "message")) as [MessageEvent])[0].data;
      expect(await next()).toBe('{"type":"hello","service":"mistudio"}');
      socket.send("echo");
      expect(await next()).toBe("echo");
      socket.close();
    });

    it("M4: a second up changes nothing", async () => {
      const before = await stack.running();
      const again = await up();
      expect(again.output).not.toMatch(/\d+ (updated|created|replaced|deleted)/);
      const clean = await pulumi.run(stack, "up", "--expect-no-changes");
      expect(clean.exitCode, clean.output).toBe(0);
      expect(await stack.running()).toEqual(before);
    });

    it("M5: a job is done by the worker, and its result lies in database 1", async () => {
      const { id } = JSON.parse((await ask("/api/v1/jobs", { json: { text: "a b c" } })).body) as { id: string };
      const done = await until("the job", async () => {
        const { body } = await ask(`/api/v1/jobs/${id}`);
        return body.includes("SUCCESS") && body;
      });
      expect(JSON.parse(done)).toEqual({ state: "SUCCESS", result: { tokens: 3 } });
      expect(await redis(1, "EXISTS", `celery-task-meta-${id}`)).toBe(1);
    });

    it("M6: the schedule is kept: 8 to 12 in 20 s", async () => {
      const times = async () => ((await redis(0, "LRANGE", "mistudio:monitor", "-6", "-1")) as string[]).map(Number);
      await redis(0, "DEL", "mistudio:monitor");
      const found = await until("six runs", async () => {
        const all = await times();
        return all.length === 6 && all;
      });
      const each = (found[5]! - found[0]!) / 5;
      expect(20 / each).toBeGreaterThanOrEqual(8);
      expect(20 / each).toBeLessThanOrEqual(12);
    });

    it("M18: check passes, and says where the model runs on the CPU", async () => {
      const check = await run("check");
      expect(check.exitCode, check.output).toBe(0);
      if (!hasGpu) expect(check.output).toContain("CPU");
    });

    it("a token stream arrives through nginx token by token", async () => {
      const call = request({
        ...{ host: "127.0.0.1", port: ports["mistudio-nginx"], path: "/ollama/api/generate", agent: false },
        ...{ method: "POST", headers: { host: DOMAIN } },
      });
      call.end(JSON.stringify({ model: "gemma2:2b", prompt: "1", options: { num_predict: 2000 } }));
      const [response] = (await once(call, "response")) as [IncomingMessage];
      const [piece] = (await once(response.setEncoding("utf8"), "data")) as [string];
      call.destroy();
      // A buffer would have taken some forty before it let the first one go.
      expect(piece.trim().split("\n").length).toBeLessThan(10);
      expect(piece).not.toContain('"done":true');
    });

    it("an edit of a page comes to the browser by itself, and of the API to its answers; nothing is restarted by us", async () => {
      const before = await stack.running();
      const { body } = await ask("/@vite/client");
      const [, token = ""] = /const wsToken = "([^"]+)"/.exec(body) ?? [];
      const socket = connect({ host: "127.0.0.1", port: ports["mistudio-nginx"] });
      try {
        let heard = "";
        socket.setEncoding("utf8").on("data", (text: string) => (heard += text));
        const head = [
          `GET /?token=${token} HTTP/1.1`,
          ...[`Host: ${DOMAIN}`, `Origin: http://${DOMAIN}`, "Connection: Upgrade", "Upgrade: websocket"],
          ...[
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: c29tZSBub25jZSBvZiAxNg==",
            "Sec-WebSocket-Protocol: vite-hmr",
          ],
        ];
        socket.write(`${head.join("\r\n")}\r\n\r\n`);
        await until("the socket to be open", () => heard.includes('"type":"connected"'));
        const page = join(frontend, "index.html");
        writeFileSync(page, readFileSync(page, "utf8").replace("<h1>miStudio</h1>", "<h1>another</h1>"));
        await until("the browser to be told", () => heard.includes('"type":"full-reload"'));
      } finally {
        socket.destroy();
      }
      expect((await ask("/")).body).toContain("<h1>another</h1>");
      const module = join(clone.dir, "examples/systems/mistudio/backend/src/main.py");
      const source = readFileSync(module, "utf8");
      writeFileSync(module, source.replace('title="miStudio"', 'title="another"'));
      await until("the API to be another", async () => {
        const { body: described } = await ask("/openapi.json", { port: ports.backend }).catch(() => ({ body: "" }));
        return described.includes('"title":"another"');
      });
      writeFileSync(module, source);
      const clean = await pulumi.run(stack, "preview", "--expect-no-changes");
      expect(clean.exitCode, clean.output).toBe(0);
      expect(await stack.running()).toEqual(before);
    });

    it("nginx says 502 only while the one that it asks is not there", async () => {
      const before = await stack.running();
      const { backend, "mistudio-ollama": ollama } = ports;
      await using api = watchThrough("/api/v1/datasets", { path: "/api/v1/datasets", port: backend });
      await using llm = watchThrough("/ollama/api/version", { path: "/api/version", port: ollama });
      const { env } = sections.services["backend"] as { readonly env: object };
      const more = change(sections, "mistudio-ollama", { keepAlive: "6m" });
      stack.write({ ...sections, services: change({ services: more }, "backend", { env: { ...env, MORE: "1" } }) });
      await up();
      expect([...new Set(api.seen)].sort()).toEqual(["200", "away"]);
      // Another container has another address, which nginx has learnt a second later.
      expect(phases(llm.seen.map((one) => (one === "200" ? one : "not")))).toEqual(["200", "not", "200"]);
      const after = await stack.running();
      expect(Object.keys(before).filter((name) => before[name] !== after[name])).toEqual([
        "backend",
        "mistudio-ollama",
      ]);
    });

    it("M17: another port of the backend is followed, and the data services stay", async () => {
      stack.write(sections);
      await up();
      const before = await stack.running();
      const { backend: old } = ports;
      ports = { ...ports, backend: (await mistudio("")).ports.backend };
      sections = { ...sections, services: change(sections, "backend", { port: ports.backend }) };
      stack.write(sections);
      await up();
      expect((await ask("/api/v1/datasets")).body).toBe('[{"name":"pile","id":1}]');
      expect(await statusOf("/api/v1/datasets", old)).toBe(0);
      const after = await stack.running();
      // The frontend waits for the backend's port at each of its starts.
      expect(
        Object.keys(before)
          .filter((name) => before[name] === after[name])
          .sort(),
      ).toEqual(["celery-beat", "celery-worker", "relay", ...CONTAINERS].sort());
    });

    it("M20: the password of the database shows nowhere but where it belongs", async () => {
      said.push((await pulumiCommand(stack, "stack", "export")).output);
      said.push((await pulumiCommand(stack, "preview", "--json")).output);
      said.push(...(await toldByEngine(stack)));
      expect(said.filter((text) => text.includes(CANARY))).toEqual([]);
      const holders = filesThatHold(clone.base, (content) => content.includes(CANARY));
      const own = ["backend", "celery-beat", "celery-worker", "migrations"].map(
        (name) => `stacks/${stack.name}/services/${name}/launch.json`,
      );
      const database = ["files/password", "files/role.sql", "launch.json"].map(
        (name) => `containers/${stack.name}/mistudio-postgres/private/${name}`,
      );
      expect(holders).toEqual(["password", ...database, ...own].sort());
    });

    it("M19: destroy leaves the volumes that are kept, and names them", async () => {
      const destroyed = await run("destroy", "--yes");
      expect(destroyed.exitCode, destroyed.output).toBe(0);
      const kept = ["mistudio_postgres_data", "mistudio_redis_data", "ollama_data"].map(
        (name) => `${name}-${process.pid}`,
      );
      for (const name of kept) expect(destroyed.output).toContain(name);
      expect(stack.processes()).toEqual([]);
      expect(await stack.holdings()).toEqual({ ...NOTHING, volumes: kept });
      for (const name of kept) await engine({ path: `/volumes/${name}` });
      const again = await run("destroy", "--yes");
      expect(again.exitCode, again.output).toBe(0);
    });
  },
  noOllama,
);
