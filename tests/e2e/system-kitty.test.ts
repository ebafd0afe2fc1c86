import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { basename, join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { insideContainer } from "#checks/inside-container.ts";
import { engineHost } from "#setup/docker-api.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, pulumiCommand, type Verb } from "../support/driver.ts";
import { logOf, NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { kittySections, portOf, sectionsIn, withoutServices, withService, type Kitty } from "../support/kitty.ts";
import { freePort } from "../support/ports.ts";
import { changedResources } from "../support/preview.ts";
import { allProcesses, isAlive, startStranger, watchProcesses, type Process } from "../support/processes.ts";
import { modelFile } from "../support/servers.ts";
import { listeners, testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Pulumi.kitty.yaml with the small model in place of its own, step by step; each goes on from the one before.
// Does not prove: anything about the models that it declares, or about a GPU.

const SERVERS = ["llamacpp-q4", "llamacpp-f16", "llamacpp-summary", "llamacpp-vision"];
const APPLICATIONS = ["brain", "gateway", "cad", "fabrication", "safety", "voice"];
const DATA = ["redis", "jobs", "postgres", "mosquitto", "minio"];

/** Flags that the system's own scripts give, by server. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  "llamacpp-q4": [
    ...["--n-gpu-layers 999", "--ctx-size 16384", "--threads 20", "--batch-size 4096", "--ubatch-size 1024"],
    ...["--parallel 4", "--alias kitty-q4", "--flash-attn on", "--jinja"],
  ],
  "llamacpp-f16": [
    ...["--n-gpu-layers 999", "--ctx-size 16384", "--threads 20", "--batch-size 4096", "--ubatch-size 1024"],
    ...["--parallel 4", "--alias kitty-f16", "--flash-attn on", "--jinja"],
  ],
  "llamacpp-summary": [
    ...["--n-gpu-layers 999", "--ctx-size 8192", "--threads 12", "--batch-size 1024", "--parallel 2"],
    "--alias kitty-summary",
  ],
  "llamacpp-vision": ["--n-gpu-layers 999", "--ctx-size 8192", "--threads 16", "--alias kitty-vision"],
};

/** Another run of these tests at the same time has other words. */
const CANARY = `kanarienvogel${process.pid}`;
const KEYS = [
  "ADMIN_USERS",
  "OPENAI_API_KEY",
  "ANTHROPIC_API_KEY",
  "PERPLEXITY_API_KEY",
  "ZOO_API_KEY",
  "TRIPO_API_KEY",
];

interface Status {
  readonly name: string;
  readonly state: string;
  readonly since: string | null;
  readonly detail?: string | null;
}

foreignersStayUntouched();

describeWithDocker("the system KITTY", () => {
  let clone: Checkout;
  let stack: TestStack;
  /** As it is now, on the small model. */
  let kitty: Kitty;
  /** Everything that commands have printed. */
  const said: string[] = [];
  const seen: Process[] = [];

  beforeAll(async () => {
    const plain = checkout();
    clone = { ...plain, env: { ...plain.env, ...Object.fromEntries(KEYS.map((key) => [key, `${CANARY}-${key}`])) } };
    kitty = await kittySections(`kitty-${process.pid}`);
    stack = testStack(clone, "kitty", kitty);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function run(verb: Verb, ...args: readonly string[]): Promise<Ended> {
    const ended = await stack.run(engineroom.argv(stack, verb, ...args), { timeout: 590_000 });
    said.push(ended.output);
    return ended;
  }

  async function command(...args: readonly string[]): Promise<Ended> {
    const ended = await stack.run(["./engineroom", "--stack", stack.name, ...args]);
    said.push(ended.output);
    return ended;
  }

  async function up(wanted: Kitty = kitty): Promise<Ended> {
    kitty = wanted;
    stack.write(kitty);
    const ended = await run("up");
    expect(ended.exitCode, ended.output).toBe(0);
    return ended;
  }

  async function changes(wanted: Kitty): Promise<readonly string[]> {
    stack.write(wanted);
    return changedResources(await pulumiCommand(stack, "preview", "--json"));
  }

  async function check(): Promise<Readonly<Record<string, Status>>> {
    const { exitCode, stdout, output } = await command("check", "--json");
    expect(exitCode, output).toBe(0);
    const { services } = JSON.parse(stdout) as { readonly services: readonly Status[] };
    return Object.fromEntries(services.map((service) => [service.name, service]));
  }

  const at = (name: string, path: string): string => `http://127.0.0.1:${portOf(kitty, name)}${path}`;

  const isOpen = async (name: string, sections = kitty): Promise<boolean> =>
    (await listeners(portOf(sections, name))).length > 0;

  async function rows<Row>(query: string): Promise<readonly Row[]> {
    const database = new pg.Client({
      ...{ host: "127.0.0.1", port: portOf(kitty, "postgres"), user: "kitty", database: "kitty" },
      password: stack.password("postgres"),
    });
    await database.connect();
    try {
      return (await database.query(query)).rows as Row[];
    } finally {
      await database.end();
    }
  }

  async function query(): Promise<unknown> {
    const response = await fetch(at("brain", "/api/query"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "test connectivity", userId: "startup-validation" }),
    });
    return { status: response.status, ...((await response.json()) as object) };
  }

  const ANSWER = {
    status: 200,
    response: expect.stringMatching(/\S/) as string,
    tier: "local",
    model: "kitty-q4",
    confidence: expect.any(Number) as number,
    latency_ms: expect.any(Number) as number,
  };

  it("names the model file, the engine or the program that is missing, each in its own words (K10)", async () => {
    const model = await run("preview");
    expect(model.exitCode, model.output).toBe(1);
    const file = "/Users/Shared/Coding/models/athene-v2-agent/Athene-V2-Agent-Q4_K_M.gguf";
    expect(model.output).toMatch(new RegExp(`models.athene-v2-agent: .*${file} does not exist.*\\[MODEL_FILE\\]`));
    const small = await command("models", "use", "small", "--yes");
    expect(small.exitCode, small.output).toBe(0);
    kitty = sectionsIn(stack.file);

    const noEngine = { DOCKER_HOST: `unix://${clone.base}/no-engine.sock` };
    const engine = await stack.run(engineroom.argv(stack, "preview"), { env: { ...clone.env, ...noEngine } });
    expect([engine.exitCode, engine.output]).toEqual([1, expect.stringContaining("DOCKER_UNREACHABLE")]);

    const toolsFile = join(clone.base, "cache", "tools.json");
    const tools = readFileSync(toolsFile, "utf8");
    writeFileSync(toolsFile, tools.replaceAll('/llama-server"', '/no-llama-server"'));
    const program = await run("preview");
    writeFileSync(toolsFile, tools);
    expect([program.exitCode, program.output]).toEqual([2, expect.stringContaining("SETUP_MISSING: llama-server")]);
    expect(await stack.holdings()).toEqual(NOTHING);
    expect(stack.processes()).toEqual([]);
  });

  it("names who has a port, and starts nothing (K9)", async () => {
    const port = portOf(kitty, "llamacpp-q4");
    await using stranger = await startStranger(
      ["/usr/bin/python3", "-m", "http.server", String(port), "--bind", "127.0.0.1"],
      clone.base,
    );
    await until("the stranger to listen", async () => (await listeners(port)).length > 0);
    const ended = await run("up");
    expect(ended.exitCode, ended.output).toBe(1);
    expect(ended.output).toMatch(
      new RegExp(`services.llamacpp-q4.port: .*port ${port}.* process ${stranger.pid} \\(/usr/bin/python3 -m http`),
    );
    expect(await stack.holdings()).toEqual(NOTHING);
    expect(stack.processes()).toEqual([]);
    expect(isAlive(stranger)).toBe(true);
  });

  it("comes up, all of it healthy (K1), brain after every model server is (K5)", async () => {
    const healthy = new Map<string, number>();
    const end = new AbortController();
    const looks = SERVERS.map(async (name) => {
      await until(
        `${name} to be healthy`,
        async () => {
          if (end.signal.aborted) return true;
          if ((await fetch(at(name, "/health")).catch(() => undefined))?.status !== 200) return false;
          healthy.set(name, Date.now());
          return true;
        },
        590_000,
      );
    });
    await using watch = watchProcesses();
    await up().finally(() => {
      end.abort();
    });
    await Promise.all(looks);
    seen.push(...watch.seen());

    for (const name of SERVERS) expect([name, (await fetch(at(name, "/health"))).status]).toEqual([name, 200]);
    for (const service of APPLICATIONS) {
      expect(await (await fetch(at(service, "/health"))).json()).toMatchObject({ status: "healthy", service });
    }
    expect(await (await fetch(at("brain", "/health"))).json()).toMatchObject({
      dependencies: {
        redis: "connected",
        postgres: "connected",
        llama_cpp_q4: "connected",
        llama_cpp_f16: "connected",
      },
    });
    const page = await fetch(at("ui", "/"));
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<h1>KITTY</h1>")]);

    const containers = await stack.containers();
    const startOf = (name: string): number => Date.parse(containers[name]?.State.StartedAt ?? "");
    const brain = startOf("brain");
    expect([...healthy.keys()].sort()).toEqual([...SERVERS].sort());
    expect([...healthy].filter(([, time]) => time >= brain)).toEqual([]);
    expect([...DATA, "migrate"].filter((name) => !(startOf(name) < brain))).toEqual([]);
    expect(["gateway", "cad", "voice"].filter((name) => !(brain < startOf(name)))).toEqual([]);
    expect(startOf("gateway")).toBeLessThan(startOf("ui"));
  });

  it("answers a query, and keeps a row of it (K2)", async () => {
    const [before] = await rows<{ count: string }>("select count(*) from audit");
    expect(await query()).toEqual(ANSWER);
    const [after] = await rows<{ count: string }>("select count(*) from audit");
    expect(Number(after?.count) - Number(before?.count)).toBe(1);
    expect(await rows("select user_id, query, tier, model from audit order by id desc limit 1")).toEqual([
      { user_id: "startup-validation", query: "test connectivity", tier: "local", model: "kitty-q4" },
    ]);
  });

  it("runs the model servers with the system's flags (K3)", async () => {
    const pids = await stack.pids();
    const argvOf = (name: string): string => allProcesses().find(({ pid }) => pid === pids[name]?.pid)?.argv ?? "";
    for (const name of SERVERS) {
      const argv = `${argvOf(name)} `;
      expect([name, FLAGS[name]?.filter((flag) => !argv.includes(`${flag} `))]).toEqual([name, []]);
      const models = (await (await fetch(at(name, "/v1/models"))).json()) as { data: readonly { id: string }[] };
      expect(models.data.map(({ id }) => id)).toEqual([name.replace("llamacpp", "kitty")]);
    }
    const slots = async (name: string): Promise<unknown> =>
      ((await (await fetch(at(name, "/props"))).json()) as { total_slots: number }).total_slots;
    expect([await slots("llamacpp-q4"), await slots("llamacpp-f16")]).toEqual([4, 4]);
  });

  it("changes nothing the second time (K4)", async () => {
    const before = await stack.running();
    await up();
    expect(await stack.running()).toEqual(before);
    const preview = await run("preview", "--expect-no-changes");
    expect(preview.exitCode, preview.output).toBe(0);
  });

  it("lets containers reach the model servers, and no other machine (K16)", async () => {
    const { brain } = await stack.containers();
    const url = `http://host.docker.internal:${portOf(kitty, "llamacpp-q4")}/health`;
    const ask = `import urllib.request; print(urllib.request.urlopen("${url}", timeout=5).status)`;
    const inside = insideContainer(engineHost(process.env), brain?.Id ?? "");
    expect(await inside.run(["python", "-c", ask], AbortSignal.timeout(20_000))).toMatchObject({ lastLine: "200" });

    const bridge = Object.values(brain?.NetworkSettings.Networks ?? {}).map(({ Gateway }) => Gateway);
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .flatMap(({ family, internal, address }) => (family === "IPv4" && !internal ? [address] : []))
      .filter((address) => !bridge.includes(address));
    expect(others.length).toBeGreaterThan(0);
    for (const address of others) {
      const refused = fetch(`http://${address}:${portOf(kitty, "llamacpp-q4")}/health`);
      await expect(refused, address).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
    }
  });

  it("changes one service alone when one setting is another", async () => {
    const fabrication = kitty.services["fabrication"]?.["env"] as object;
    const wanted = withService(kitty, "fabrication", { env: { ...fabrication, PRINTERS: "2" } });
    expect(await changes(wanted)).toEqual(["fabrication-container", "fabrication-ready"]);
    const before = await stack.running();
    await up(wanted);
    const after = await stack.running();
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["fabrication"]);
  });

  it("follows another port of a model server: that one, the relay and brain (K15)", async () => {
    const old = kitty;
    const wanted = withService(kitty, "llamacpp-q4", { port: await freePort() });
    const names = (resources: readonly string[]): readonly string[] => [
      ...new Set(resources.map((name) => name.replace(/-\w+$/, ""))),
    ];
    expect(names(await changes(wanted))).toEqual(["brain", "llamacpp-q4", "relay"]);
    const before = await stack.running();
    await up(wanted);
    const after = await stack.running();
    expect(
      Object.keys(after)
        .filter((name) => after[name] !== before[name])
        .sort(),
    ).toEqual(["brain", "llamacpp-q4"]);
    expect(await query()).toEqual(ANSWER);
    expect([await isOpen("llamacpp-q4", old), await isOpen("llamacpp-q4")]).toEqual([false, true]);
    expect((await check())["llamacpp-q4"]?.detail).toContain(`:${portOf(kitty, "llamacpp-q4")} `);
  });

  it("goes on beside an application that does not start, and takes it when it is mended (K17)", async () => {
    const source = join(clone.dir, "examples/systems/kitty/app");
    const own = join(clone.dir, "own-safety");
    cpSync(source, own, { recursive: true });
    const main = join(own, "kitty", "main.py");
    const sound = readFileSync(main, "utf8");
    writeFileSync(main, `raise RuntimeError("no such printer")\n${sound}`);
    const before = await stack.running();
    kitty = withService(kitty, "safety", { build: "./own-safety" });
    stack.write(kitty);
    const ended = await run("up");
    expect(ended.exitCode, ended.output).toBe(1);
    expect(ended.output).toMatch(/safety: its program ended soon after each of \d starts/);
    expect(ended.output).toContain("RuntimeError: no such printer");
    const others = ({ safety: _, ...rest }: Readonly<Record<string, string>>) => rest;
    expect(others(await stack.running())).toEqual(others(before));
    writeFileSync(main, sound);
    await up();
    expect(others(await stack.running())).toEqual(others(before));
    expect(await (await fetch(at("safety", "/health"))).json()).toMatchObject({ status: "healthy" });
  });

  it("refuses a projector that is none; where vision is optional the others go on (K10)", async () => {
    const { models: _small, modelsDir: _dir, ...settings } = kitty.settings ?? {};
    const file = basename(modelFile);
    const models = Object.fromEntries(Object.keys(kitty.models ?? {}).map((name) => [name, { file }]));
    const broken = { ...kitty, settings, models: { ...models, "gemma-3-27b": { file, mmproj: file } } };
    stack.write(withService(broken, "llamacpp-vision", { required: true }));
    const refused = await run("preview");
    expect(refused.exitCode, refused.output).toBe(1);
    expect(refused.output).toContain(
      `models.gemma-3-27b: expected a whole GGUF file, got ${join(clone.base, "cache/models", file)}: expected a projector`,
    );
    const before = await stack.running();
    const sound = kitty;
    const ended = await up(broken);
    expect(ended.output).toContain("llamacpp-vision is left out (required: false): models.gemma-3-27b: ");
    const { "llamacpp-vision": gone, ...others } = before;
    expect(gone).toBeDefined();
    expect(await stack.running()).toEqual(others);
    kitty = sound;
  });

  it("runs without vision and summary, and with images (K6)", async () => {
    const wanted = withoutServices(kitty, ["llamacpp-vision", "llamacpp-summary"]);
    await up(withService(withService(wanted, "images-api", { enabled: true }), "images-worker", { enabled: true }));
    expect([await isOpen("llamacpp-vision"), await isOpen("llamacpp-summary")]).toEqual([false, false]);
    const found = await check();
    expect([found["llamacpp-vision"]?.state, found["llamacpp-summary"]?.state]).toEqual(["disabled", "disabled"]);

    const generate = await fetch(at("images-api", "/generate"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ seconds: 1 }),
    });
    expect(generate.status).toBe(202);
    const { job_id: job } = (await generate.json()) as { readonly job_id: string };
    const look = async () => (await (await fetch(at("images-api", `/jobs/${job}`))).json()) as { status: string };
    expect((await look()).status).not.toBe("finished");
    await until("the job to end", async () => !/queued|started/.test((await look()).status));
    expect(await look()).toEqual({ job_id: job, status: "finished", result: "done after 1 s" });

    await up(withoutServices(kitty, ["images-api", "images-worker"]));
    expect(await isOpen("images-api")).toBe(false);
  });

  it("goes down whole, and nobody has seen a key (K19)", async () => {
    const containers = Object.values(await stack.containers());
    expect(containers.length).toBeGreaterThan(12);
    for (const one of containers) said.push(JSON.stringify(one), await logOf(one.Id));
    for (const name of SERVERS) said.push((await command("logs", name)).output);
    said.push((await command("status", "--json")).output, (await command("plan")).output);
    said.push((await pulumiCommand(stack, "stack", "export")).output);
    const key = ["printenv", "OPENAI_API_KEY"];
    const brain = insideContainer(engineHost(process.env), (await stack.containers())["brain"]?.Id ?? "");
    expect(await brain.run(key, AbortSignal.timeout(20_000))).toMatchObject({ lastLine: `${CANARY}-OPENAI_API_KEY` });
    expect(said.filter((text) => text.includes(CANARY))).toEqual([]);
    expect(seen.filter(({ argv }) => argv.includes(CANARY))).toEqual([]);

    const destroyed = await run("destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    const volumes = ["jobs", "minio", "mosquitto", "postgres", "prometheus"].map((name) => `${stack.name}-${name}`);
    expect(await stack.holdings()).toEqual({ ...NOTHING, volumes });
    for (const volume of volumes) expect(destroyed.output).toContain(volume);
  });
});
