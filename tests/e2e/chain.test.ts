import { existsSync, readdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { processTree } from "#checks/process-tree.ts";
import { serviceAccount } from "#setup/system-user.ts";
import { changed } from "../support/change.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { drivers, engineroom, pulumiCommand, type Verb } from "../support/driver.ts";
import { NOTHING, type Inspected } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { localChain, type Chain } from "../support/local-chain.ts";
import { noOtherMachine, otherMachine } from "../support/network-namespace.ts";
import { changedResources } from "../support/preview.ts";
import { isAlive, signal } from "../support/processes.ts";
import { restartAll } from "../support/reboot.ts";
import { describeCases, itWhere, runtimes } from "../support/runtimes.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Does not prove: anything about the model's answer but that there is one.

const STACKS = { host: "local", container: "dev" };
const cases = drivers.flatMap((driver) => runtimes.map((runtime) => ({ driver, runtime, stackFile: STACKS[runtime] })));

foreignersStayUntouched();

describeCases(cases, "stack $stackFile by $driver.name", ({ driver, runtime }) => {
  let clone: Checkout;
  let chain: Chain;
  let stack: TestStack;
  let asked: Answer;
  const [onHost, inContainer] = [itWhere(runtime === "host"), itWhere(runtime === "container")];

  beforeAll(async () => {
    clone = checkout();
    chain = await localChain(runtime);
    stack = testStack(clone, "chain", chain.sections);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("comes up from nothing", async () => {
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(Object.keys(await stack.running()).sort()).toEqual([
      "api",
      "broker",
      "chat",
      "db",
      "edge",
      "site",
      "worker",
    ]);
  });

  it("previews and refreshes without a change", async () => {
    const steps: readonly (readonly [Verb, ...string[]])[] = [
      ["preview", "--expect-no-changes"],
      ["refresh", "--expect-no-changes"],
      ["preview", "--expect-no-changes"],
    ];
    for (const step of steps) {
      const { exitCode, output } = await driver.run(stack, ...step);
      expect(exitCode, output).toBe(0);
    }
  });

  it("answers a question through nginx, by the model, and stores it", async () => {
    asked = await ask(chain.url, "What is the capital of France?");
    expect(asked).toMatchObject({ text: "What is the capital of France?", status: "answered" });
    expect(asked.answer).toMatch(/\w{2,}/);
    expect(asked.prompt_tokens).toBeGreaterThan(0);
    expect(asked.completion_tokens).toBeGreaterThan(0);
    expect(await row(stack, chain, asked.id)).toEqual({ text: asked.text, status: "answered", answer: asked.answer });
  });

  it("says that it is healthy", async () => {
    const response = await fetch(`${chain.url}/api/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      dependencies: { db: { status: "ok" }, broker: { status: "ok" }, chat: { status: "ok" } },
    });
  });

  it("passes the model's own API through, whole and as a stream", async () => {
    const whole = (await (await complete(chain.url, false)).json()) as Completion;
    expect(whole.choices[0]?.message.content).not.toBe("");
    expect(whole.usage.completion_tokens).toBeGreaterThan(0);

    const stream = await complete(chain.url, true);
    expect(stream.headers.get("content-type")).toContain("text/event-stream");
    const events = (await stream.text()).split("\n\n").filter(Boolean);
    expect(events.length).toBeGreaterThan(2);
    expect(events.at(-1)).toBe("data: [DONE]");
  });

  it("serves the page, and the files that the page names", async () => {
    const page = await fetch(chain.url);
    expect(page.status).toBe(200);
    const html = await page.text();
    const script = /src="\.(\/assets\/[^"]+\.js)"/.exec(html)?.[1];
    expect(script).toBeDefined();
    expect((await fetch(`${chain.url}${script ?? ""}`)).status).toBe(200);
  });

  inContainer("gives its containers no more than they need", async () => {
    const containers = Object.entries(await stack.containers());
    const confined = Object.fromEntries(containers.map(([name, container]) => [name, confinementOf(container)]));
    const all = Object.fromEntries(Object.keys(CONTAINERS).map((name) => [name, CONFINED]));
    expect(confined).toEqual(all);
    const own = Object.fromEntries(containers.map(([name, container]) => [name, ownPartOf(container)]));
    expect(own).toEqual({ ...CONTAINERS, edge: { ...CONTAINERS.edge, inside: [`${chain.port}/tcp`] } });
    const { owner, projectDir } = stack.places;
    for (const [name, { Name, Config }] of containers) {
      expect(Name).toBe(`/${stack.name}-${name}`);
      expect(Config.Labels).toMatchObject({
        "engineroom.stack": stack.name,
        "engineroom.service": name,
        "engineroom.owner": owner,
        "engineroom.project": projectDir,
      });
    }
  });

  inContainer("runs no process that could gain a privilege", async () => {
    const containers = Object.entries(await stack.containers());
    const running = containers.filter(([, { State }]) => State.Pid > 0);
    const processes = running.flatMap(([name, { State }]) => processTree(State.Pid).map((pid) => [name, pid] as const));
    // Each has its init beside its program.
    expect(processes.length).toBeGreaterThanOrEqual(2 * running.length);
    expect(Object.fromEntries(processes.map(([name, pid]) => [`${name} ${pid}`, privilegesOf(pid)]))).toEqual(
      Object.fromEntries(
        processes.map(([name, pid]) => [
          `${name} ${pid}`,
          { uid: CONTAINERS[name as keyof typeof CONTAINERS].user.split(":")[0], capabilities: 0n, gainsNone: "1" },
        ]),
      ),
    );
  });

  inContainer("publishes its ports on loopback alone", async () => {
    const bound = Object.values(await stack.containers()).flatMap(({ HostConfig }) =>
      Object.values(HostConfig.PortBindings ?? {}).flatMap((bindings) => bindings),
    );
    expect(bound.map(({ HostIp, HostPort }) => `${HostIp}:${HostPort}`).sort()).toEqual(
      chain.ports.map((port) => `127.0.0.1:${port}`).sort(),
    );
  });

  it.skipIf(noOtherMachine !== undefined)(
    `is out of reach for another machine (${noOtherMachine ?? "which is a network namespace"})`,
    async () => {
      using other = otherMachine();
      const gateways = Object.values(await stack.containers()).flatMap(({ NetworkSettings }) =>
        Object.values(NetworkSettings.Networks).map(({ Gateway }) => Gateway),
      );
      const hosts = [other.hostAddress, ...new Set(gateways.filter((address) => address !== ""))];
      const targets = hosts.flatMap((host) => chain.ports.map((port) => ({ host, port })));
      expect(await other.open(targets)).toEqual([]);
    },
  );

  itWhere(runtime === "container" && driver === engineroom)("previews exactly what must follow a change", async () => {
    for (const [path, value, changes] of CHANGES) {
      stack.write(changed(chain.sections, ["services", ...path.split(".")], value));
      const seen = await pulumiCommand(stack, "preview", "--json", "--non-interactive");
      expect(changedResources(seen), `${path}\n${seen.output}`).toEqual(changes);
    }
    stack.write(chain.sections);
  });

  onHost("is repaired after supervisord was killed: what is left of it ends, nothing runs twice", async () => {
    const supervisor = await stack.supervisor();
    const before = stack.processes();
    signal(supervisor, "SIGKILL");
    await until("supervisord to end", () => !isAlive(supervisor));
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(before.filter(isAlive).map(({ argv }) => argv)).toEqual([]);
    expect(await healthStatus(chain.url)).toBe(200);
    const again = await driver.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });

  it("is ready again after a restart of the machine, all services at once", async () => {
    const before = await stack.running();
    await restartAll(stack);
    await until("the whole chain to work", async () => (await healthStatus(chain.url)) === 200, 60_000);
    const after = await stack.running();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(Object.entries(after).filter(([name, start]) => before[name] === start)).toEqual([]);
    const again = await driver.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(await stack.running()).toEqual(after);
  });

  it("leaves nothing but kept data after destroy", async () => {
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    expect(await stack.holdings()).toEqual(NOTHING);
    const { stackDir, dataDir, servicesDir, logsDir, containersDir } = stack.places;
    for (const path of [servicesDir, logsDir, containersDir, join(stackDir, "programs")])
      expect(existsSync(path), path).toBe(false);
    // Stack dev says that its data is disposable.
    expect(existsSync(dataDir) ? readdirSync(dataDir).sort() : []).toEqual(runtime === "host" ? ["broker", "db"] : []);
    const { stdout } = await pulumiCommand(stack, "stack", "export");
    expect((JSON.parse(stdout) as Exported).deployment.resources ?? []).toEqual([]);
  });

  onHost("has the row again after the next up", async () => {
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(await row(stack, chain, asked.id)).toEqual({ text: asked.text, status: "answered", answer: asked.answer });
    expect(await answerOf(chain.url, asked.id)).toEqual(asked);
  });

  onHost("goes down again", async () => {
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
  });
});

/** What every container has; the rest is what each has of its own. */
const CONFINED = {
  readOnly: true,
  dropped: ["ALL"],
  added: null,
  privileged: false,
  security: ["no-new-privileges:true"],
  init: true,
  limited: true,
  log: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } },
  namespaces: { ipc: "private", pid: "", uts: "", user: "" },
  devices: null,
};

function confinementOf({ HostConfig: host }: Inspected) {
  return {
    readOnly: host["ReadonlyRootfs"],
    dropped: host["CapDrop"],
    added: host["CapAdd"],
    privileged: host["Privileged"],
    security: host["SecurityOpt"],
    init: host["Init"],
    limited: Number(host["Memory"]) > 0 && host["Memory"] === host["MemorySwap"],
    log: host["LogConfig"],
    namespaces: { ipc: host["IpcMode"], pid: host["PidMode"], uts: host["UTSMode"], user: host["UsernsMode"] },
    devices: host["Devices"],
  };
}

const [APPLICATION, NGINX, ALWAYS, ONCE] = ["10001:10001", "101:101", "unless-stopped", "no"];
/** Whoever reads the model files on this host. */
const { uid: READER, gid: READERS } = (process.getuid?.() === 0 ? serviceAccount() : undefined) ?? userInfo();
const CONTAINERS = {
  db: { user: "999:999", restart: ALWAYS, inside: ["5432/tcp"] },
  broker: { user: "999:999", restart: ALWAYS, inside: ["6379/tcp"] },
  chat: { user: `${READER}:${READERS}`, restart: ALWAYS, inside: ["8081/tcp"] },
  migrate: { user: APPLICATION, restart: ONCE, inside: [] },
  api: { user: APPLICATION, restart: ALWAYS, inside: ["8000/tcp"] },
  worker: { user: APPLICATION, restart: ALWAYS, inside: [] },
  site: { user: NGINX, restart: ALWAYS, inside: ["3000/tcp"] },
  edge: { user: NGINX, restart: ALWAYS },
};

function ownPartOf({ Config, HostConfig }: Inspected) {
  const { Name: restart } = HostConfig["RestartPolicy"] as { readonly Name: string };
  return { user: Config.User, restart, inside: Object.keys(HostConfig.PortBindings ?? {}) };
}

/** As the kernel has it, which is what counts. */
function privilegesOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
  const capabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => BigInt(`0x${field(name)}`));
  return {
    uid: field("Uid"),
    capabilities: capabilities.reduce((all, one) => all | one, 0n),
    gainsNone: field("NoNewPrivs"),
  };
}

/** Settings of services, other values of them, and what must be made anew with each. */
const CHANGES: readonly (readonly [path: string, value: unknown, changes: readonly string[]])[] = [
  ["db.memory", "700MiB", ["db-container", "db-ready"]],
  ["broker.stopGrace", "7s", ["broker-container", "broker-ready"]],
  ["chat.ready", { timeout: "99s" }, ["chat-ready"]],
  ["worker.threads", 2, ["worker-container", "worker-ready"]],
  ["edge.routes", { "/": "${site.url}" }, ["edge-files", "edge-ready"]],
];

interface Answer {
  readonly id: number;
  readonly text: string;
  readonly status: string;
  readonly answer: string | null;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
}

interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly completion_tokens: number };
}

interface Exported {
  readonly deployment: { readonly resources?: readonly unknown[] };
}

/** 0 while nobody listens. */
const healthStatus = (url: string): Promise<number> =>
  fetch(`${url}/api/health`).then(
    ({ status }) => status,
    () => 0,
  );

async function ask(url: string, text: string): Promise<Answer> {
  const response = await fetch(`${url}/api/questions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  expect(response.status).toBe(202);
  const { id } = (await response.json()) as { readonly id: number };
  return until(
    "the answer",
    async () => {
      const answer = await answerOf(url, id);
      return ["answered", "failed"].includes(answer.status) && answer;
    },
    120_000,
  );
}

const answerOf = async (url: string, id: number): Promise<Answer> =>
  (await (await fetch(`${url}/api/questions/${id}`)).json()) as Answer;

const complete = (url: string, stream: boolean): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Count to five." }], max_tokens: 16, stream }),
  });

/** The row as Postgres has it, by the password that was generated. */
async function row(stack: TestStack, chain: Chain, id: number): Promise<unknown> {
  const client = new Client({
    host: "127.0.0.1",
    port: chain.databasePort,
    user: "app",
    database: "app",
    password: stack.password("db"),
  });
  await client.connect();
  try {
    const { rows } = await client.query("SELECT text, status, answer FROM questions WHERE id = $1", [id]);
    return rows[0];
  } finally {
    await client.end();
  }
}
