import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { drivers, pulumiCommand, type Verb } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { localChain, type Chain, type Runtime } from "../support/local-chain.ts";
import { isAlive, signal } from "../support/processes.ts";
import { restartAll } from "../support/reboot.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Does not prove: anything about the model's answer but that there is one.

const runtimes: readonly Runtime[] = ["host"];
const cases = drivers.flatMap((driver) => runtimes.map((runtime) => ({ driver, runtime })));

foreignersStayUntouched();

describe.each(cases)("stack local by $driver.name, in: $runtime", ({ driver, runtime }) => {
  let clone: Checkout;
  let chain: Chain;
  let stack: TestStack;
  let asked: Answer;

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
    expect(Object.keys(await stack.pids()).sort()).toEqual(["api", "broker", "chat", "db", "edge", "site", "worker"]);
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

  it("is repaired after supervisord was killed: what is left of it ends, nothing runs twice", async () => {
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
    const before = await stack.pids();
    await restartAll(stack);
    await until("the whole chain to work", async () => (await healthStatus(chain.url)) === 200, 60_000);
    const after = await stack.pids();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    const again = await driver.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(await stack.pids()).toEqual(after);
  });

  it("leaves nothing but kept data after destroy", async () => {
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    const { stackDir, dataDir, servicesDir, logsDir } = stack.places;
    for (const path of [servicesDir, logsDir, join(stackDir, "programs")]) expect(existsSync(path), path).toBe(false);
    expect(readdirSync(dataDir).sort()).toEqual(["broker", "db"]);
    const { stdout } = await pulumiCommand(stack, "stack", "export");
    expect((JSON.parse(stdout) as Exported).deployment.resources ?? []).toEqual([]);
  });

  it("has the row again after the next up", async () => {
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(await row(stack, chain, asked.id)).toEqual({ text: asked.text, status: "answered", answer: asked.answer });
    expect(await answerOf(chain.url, asked.id)).toEqual(asked);
  });

  it("goes down again", async () => {
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
  });
});

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
    password: readFileSync(join(stack.places.servicesDir, "db", "password"), "utf8"),
  });
  await client.connect();
  try {
    const { rows } = await client.query("SELECT text, status, answer FROM questions WHERE id = $1", [id]);
    return rows[0];
  } finally {
    await client.end();
  }
}
