import { localChain } from "../../support/local-chain.ts";
import { testStack } from "../../support/test-stack.ts";
import { newSecrets, startAlone } from "../alone.ts";
import { engineroom, seconds, type Bench, type Probe } from "../context.ts";
import { criticalPath, type Path } from "../critical-path.ts";
import { median, type Findings } from "../figure.ts";
import { opened } from "../stacks.ts";

/** What `up` may cost on top of what the services themselves need. */
const FACTOR = 1.3;
const EXTRA_SECONDS = 2;

type Times = ReadonlyMap<string, number>;

export const warmUp: Probe = {
  name: "warm-up",
  summary: "up of the whole chain against its services' own critical path",
  run,
};

async function run(bench: Bench): Promise<Findings> {
  await using stack = testStack(bench.checkout, "chain", (await localChain("host")).sections);
  await using other = testStack(bench.checkout, "alone", (await localChain("host")).sections);
  const alone = opened(other);
  bench.say("warm-up: once without measuring, which makes data and builds");
  await seconds(bench, engineroom(stack, "up", "--yes"));
  await seconds(bench, engineroom(stack, "destroy", "--yes"));
  await aloneTimes(bench, alone);
  const ups: number[] = [];
  const times: Times[] = [];
  for (let run = 1; run <= bench.runs; run++) {
    bench.say(`warm-up: run ${run} of ${bench.runs}`);
    ups.push(await seconds(bench, engineroom(stack, "up", "--yes")));
    await seconds(bench, engineroom(stack, "destroy", "--yes"));
    times.push(await aloneTimes(bench, alone));
  }
  const paths = times.map((each) => criticalPath(alone.plan.services, each));
  const path = { name: "critical path", samples: paths.map((each) => each.seconds) };
  const limit = FACTOR * median(path.samples) + EXTRA_SECONDS;
  const goal = { words: `${FACTOR} x path + ${EXTRA_SECONDS} s`, limit };
  return {
    figures: [{ name: "warm up, whole chain", unit: "s", samples: ups, against: path, goal }],
    notes: notesOf(alone.plan.services, times, paths),
  };
}

/** Each service's time from start to first success, started one after another so that none disturbs another's start. */
async function aloneTimes({ signal, say }: Bench, alone: ReturnType<typeof opened>): Promise<Times> {
  const secrets = newSecrets(alone);
  const times = new Map<string, number>();
  await using running = new AsyncDisposableStack();
  for (const service of alone.plan.services) {
    signal.throwIfAborted();
    const { seconds: taken } = running.use(await startAlone(alone, service, secrets));
    times.set(service.name, taken);
  }
  say(`  each alone: ${[...times].map(([name, taken]) => `${name} ${taken.toFixed(2)} s`).join(", ")}`);
  return times;
}

function notesOf(
  services: ReturnType<typeof opened>["plan"]["services"],
  times: readonly Times[],
  paths: readonly Path[],
): readonly string[] {
  const lines = services.map(({ name, check, needs }) => {
    const taken = median(times.map((each) => each.get(name) ?? NaN));
    const how = check ? `check ${check.kind}` : "a job: until it ended well";
    return `${name}: ${taken.toFixed(2)} s alone (${how}${needs.length > 0 ? `; after ${needs.join(", ")}` : ""})`;
  });
  return [
    "each service started by its own argv and environment as the plan gives them, asked every 20 ms by the project's own check",
    ...lines,
    `longest way through needs: ${[...new Set(paths.map(({ names }) => names.join(" > ")))].join("; or ")}`,
    "before each: data kept, secrets new (so Postgres sets its role's password again), as after a destroy",
  ];
}
