import { afterAll, beforeAll, expect, it } from "vitest";
import { askRedis } from "#checks/redis.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { describeCases, itWhere, type Runtime } from "../support/runtimes.ts";
import { runJobs } from "../support/servers.ts";
import { passwordFile, testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";
import { QUEUE, workerSections, type WorkerPlaces } from "../support/worker-stack.ts";

// Every kind of worker with a real broker and the sample application: that each is proven, wherever the two are, and
// that a task which runs when its worker is replaced comes to its end.

/** Where an engine is needed, its runtime is `container`. */
interface Case extends WorkerPlaces {
  readonly runtime: Runtime;
}

const cases: readonly Case[] = [
  { runtime: "host", broker: "host", workers: "host" },
  { runtime: "container", broker: "container", workers: "container" },
  { runtime: "container", broker: "host", workers: "container" },
  { runtime: "container", broker: "container", workers: "host" },
];

foreignersStayUntouched();

describeCases(cases, "workers in: $workers, their broker in: $broker", (one) => {
  let clone: Checkout;
  let stack: TestStack;
  let port: number;

  beforeAll(async () => {
    clone = checkout();
    port = await freePort();
    stack = testStack(clone, "workers", workerSections(one, port));
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function ask(...commands: readonly (readonly string[])[]): Promise<readonly unknown[]> {
    const place = { host: "127.0.0.1", port, passwordFile: passwordFile(stack.places, "broker") };
    const answer = await askRedis(place, AbortSignal.timeout(10_000), commands);
    if ("outcome" in answer) throw new Error(JSON.stringify(answer.outcome));
    return answer.replies;
  }

  const trace = async (): Promise<readonly string[]> => {
    const [lines] = await ask(["LRANGE", "jobs:trace", "0", "-1"]);
    return [...(lines as readonly string[])].sort();
  };

  /** What `check` says of each service; it asks for the full unit of work. */
  async function check(): Promise<Readonly<Record<string, string>>> {
    const { stdout, output } = await stack.run(["./engineroom", "--stack", stack.name, "check", "--json"]);
    expect(stdout, output).toMatch(/^\{/);
    const { services } = JSON.parse(stdout) as {
      readonly services: readonly { name: string; state: string; detail: string | null; reason: string | null }[];
    };
    return Object.fromEntries(
      services.map(({ name, state, detail, reason }) => [name, `${state}: ${detail ?? reason ?? ""}`]),
    );
  }

  it("each is proven by what it does", async () => {
    const where = `127.0.0.1:${port}`;
    const { beat, broker, relay, ...found } = await check();
    expect(broker).toMatch(/^ready: /);
    expect(relay ?? "ready: ").toMatch(/^ready: /);
    expect(beat).toMatch(new RegExp(`^ready: process \\d+ keeps the schedule, and ${where} answers$`));
    expect(found).toEqual({
      tasks: `ready: tasks@${stack.name} consumes from ${where} and answers`,
      later: `ready: 1 worker consumes from ${where}`,
      acts: `ready: 1 worker process consumes from ${where} with a fresh heartbeat`,
      poller: "ready: python ended with exit code 0",
    });
    await until("the schedule to be kept", async () => Number((await ask(["GET", "jobs:ticks"]))[0]) >= 2);
  });

  itWhere(one.broker === one.workers)("a task that runs when its worker is replaced comes to its end", async () => {
    const password = stack.password("broker").trim();
    const args = (name: string) => JSON.stringify([name, 12]);
    await ask(["DEL", "jobs:trace"], ["RPUSH", `queue:${QUEUE}`, JSON.stringify({ name: "poller", seconds: 12 })]);
    await runJobs({ port, password }, ["celery", "-A", "jobs", "call", "jobs.celery.take", "--args", args("tasks")]);
    await runJobs({ port, password }, ["rq.cli", "enqueue", "jobs.rq.take", "later", "12"]);
    await runJobs({ port, password }, ["jobs.enqueue", "acts", "12"]);
    const begun = ["acts begin", "later begin", "poller begin", "tasks begin"];
    await until("all to begin", async () => (await trace()).filter((line) => line.endsWith("begin")).length === 4);

    const before = await stack.running();
    stack.write(
      workerSections(one, port, {
        tasks: { loglevel: "debug" },
        later: { withScheduler: true },
        acts: { queues: ["default"] },
        poller: { env: { REDIS_URL: "${broker.url}", MORE: "1" } },
      }),
    );
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    expect(await trace()).toEqual([...begun, ...begun.map((line) => line.replace("begin", "end"))].sort());
    const after = await stack.running();
    const kept = Object.keys(before).filter((name) => before[name] === after[name]);
    expect(kept.sort()).toEqual(["beat", "broker"]);
    expect((await check())["tasks"]).toMatch(/^ready: /);
  });

  it("nothing changes by itself", async () => {
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });
});
