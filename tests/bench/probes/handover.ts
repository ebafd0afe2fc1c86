import { setTimeout as sleep } from "node:timers/promises";
import { readStartHistory } from "#observe/records.ts";
import { serviceHome } from "#runtime/host-plan.ts";
import type { ServicePlan } from "#stack/plan.ts";
import { freePort } from "../../support/ports.ts";
import { testStack, type Sections } from "../../support/test-stack.ts";
import { asker } from "../alone.ts";
import { engineroom, seconds, type Bench, type Probe } from "../context.ts";
import { median, type Findings } from "../figure.ts";
import { opened } from "../stacks.ts";

const ASK_EVERY_MS = 10;
const GOAL_MS = 250;
/** Seconds after which each slow server listens: short ones meet short steps of the wait, long ones long steps. */
const DELAYS = [0.2, 0.7, 1.5, 3, 6];

export const handover: Probe = {
  name: "handover",
  summary: "dependency ready until its dependent is started",
  run,
};

/** Listens on a port after some seconds. */
const SLOW_SERVER = `import socket, sys, time
time.sleep(float(sys.argv[2]))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()[0].close()
`;

async function sections(): Promise<Sections> {
  const slow: [string, object][] = [];
  for (const [index, delay] of DELAYS.entries()) {
    const command = ["python3", "-S", "-c", SLOW_SERVER, "${self.port}", String(delay)];
    slow.push([`slow-${index + 1}`, { kind: "process", port: await freePort(), command }]);
  }
  const dependencies = {
    db: { kind: "postgres", database: "app", port: await freePort() },
    broker: { kind: "redis", role: "broker", port: await freePort() },
    ...Object.fromEntries(slow),
  };
  const dependents = Object.keys(dependencies).map(
    (name) => [`after-${name}`, { kind: "process", command: ["sleep", "1000000"], needs: [name] }] as const,
  );
  return { settings: { in: "host" }, services: { ...dependencies, ...Object.fromEntries(dependents) } };
}

async function run(bench: Bench): Promise<Findings> {
  await using stack = testStack(bench.checkout, "pairs", await sections());
  const { plan } = opened(stack);
  const dependencies = plan.services.filter(({ needs }) => needs.length === 0);
  const gaps = new Map(dependencies.map(({ name }) => [name, [] as number[]]));
  // The first run makes the database, and has our own modules loaded.
  for (let run = 0; run <= bench.runs; run++) {
    bench.say(run === 0 ? "handover: once without measuring" : `handover: run ${run} of ${bench.runs}`);
    const firstSuccess = await whileAsking(dependencies, bench.signal, () =>
      seconds(bench, engineroom(stack, "up", "--yes")),
    );
    for (const { name } of run === 0 ? [] : dependencies) {
      const started = readStartHistory(serviceHome(plan.places, `after-${name}`)).starts[0]?.at ?? NaN;
      gaps.get(name)?.push(started * 1000 - (firstSuccess.get(name) ?? NaN));
    }
    await seconds(bench, engineroom(stack, "destroy", "--yes"));
  }
  const goal = { words: `${GOAL_MS} ms`, limit: GOAL_MS };
  return {
    figures: [{ name: "dependency ready > dependent started", unit: "ms", samples: [...gaps.values()].flat(), goal }],
    notes: [
      `from the first success of the dependency's own check, asked every ${ASK_EVERY_MS} ms from outside, to the dependent's start record`,
      ...dependencies.map(({ name, check }) => {
        const samples = gaps.get(name) ?? [];
        const most = Math.max(...samples);
        const delay = DELAYS[Number(name.split("-")[1]) - 1];
        const words = delay === undefined ? "" : `, listens after ${delay} s`;
        return `${name} (check ${check?.kind ?? "none"}${words}): ${median(samples).toFixed(0)} ms, at most ${most.toFixed(0)} ms`;
      }),
    ],
  };
}

/** Unix milliseconds of each service's first success, asked from outside while the work goes on. */
async function whileAsking(
  services: readonly ServicePlan[],
  signal: AbortSignal,
  work: () => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const asking = services.map(async (service) => {
    const ask = asker(service);
    while (!stop.aborted && !found.has(service.name)) {
      const outcome = await ask();
      if (outcome.status === "ready") found.set(service.name, Date.now());
      else await sleep(ASK_EVERY_MS);
    }
  });
  try {
    await work();
  } finally {
    over.abort();
    await Promise.all(asking);
  }
  return found;
}
