import { cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { testStack, type TestStack } from "../../support/test-stack.ts";
import { engineroom, pulumiShell, seconds, type Bench, type Probe } from "../context.ts";
import { median, type Figure, type Findings } from "../figure.ts";
import { sleepers } from "../stacks.ts";

/** What our logic may cost on top of the floor, by number of services. */
const SIZES = [
  { count: 10, extraSeconds: 0.3 },
  { count: 60, extraSeconds: 0.6 },
];

const NAMES = ["preview", "engineroomPreview", "floor", "noOpUp", "status", "destroy", "env"] as const;
type Samples = Readonly<Record<(typeof NAMES)[number], number[]>>;

export const preview: Probe = {
  name: "preview",
  summary: "no-op preview with 10 and 60 services against the floor; no-op up, status, env, destroy",
  run,
};

async function run(bench: Bench): Promise<Findings> {
  const figures: Figure[] = [];
  for (const size of SIZES) figures.push(...(await measure(bench, size)));
  return {
    figures,
    notes: [
      "floor: tests/bench/floor, a program that registers as many components, Commands and dynamic resources with next to no inputs and no logic of ours",
      "preview and floor run as plain `pulumi preview --expect-no-changes`, one after the other; `./engineroom preview` adds the command line",
      "services: kind process, command sleep; destroy ends all of them, up starts them again unmeasured",
    ],
  };
}

async function measure(bench: Bench, { count, extraSeconds }: (typeof SIZES)[number]): Promise<readonly Figure[]> {
  await using stack = testStack(bench.checkout, `sleep-${count}`, sleepers(count));
  const samples = Object.fromEntries(NAMES.map((name) => [name, []])) as unknown as Samples;
  bench.say(`preview: ${count} services`);
  await seconds(bench, engineroom(stack, "up", "--yes"));
  const shell = { env: pulumiShell(bench, stack) };
  await using floor = await floorStack(bench, stack, count);
  // Each once without measuring: caches fill.
  for (let run = 0; run <= bench.runs; run++) {
    const take = async (name: keyof Samples, work: Promise<number>): Promise<void> => {
      const taken = await work;
      if (run > 0) samples[name].push(taken);
    };
    const words = ["pulumi", "preview", "--expect-no-changes", "--stack", stack.name];
    await take("preview", seconds(bench, words, shell));
    await take("floor", floor.preview());
    await take("engineroomPreview", seconds(bench, engineroom(stack, "preview", "--expect-no-changes")));
    await take("status", seconds(bench, engineroom(stack, "status")));
    await take("env", seconds(bench, engineroom(stack, "env")));
    await take("noOpUp", seconds(bench, engineroom(stack, "up", "--yes")));
    await take("destroy", seconds(bench, engineroom(stack, "destroy", "--yes")));
    if (run < bench.runs) await seconds(bench, engineroom(stack, "up", "--yes"));
  }
  return figuresOf(samples, count, extraSeconds);
}

function figuresOf(samples: Samples, count: number, extraSeconds: number): readonly Figure[] {
  const against = { name: "floor", samples: samples.floor };
  const goal = { words: `floor + ${extraSeconds} s`, limit: median(samples.floor) + extraSeconds };
  const milliseconds = (values: readonly number[]): readonly number[] => values.map((value) => value * 1000);
  const with_ = `${count} services`;
  return [
    { name: `no-op preview, ${with_}`, unit: "s", samples: samples.preview, against, goal },
    { name: `./engineroom preview, ${with_}`, unit: "s", samples: samples.engineroomPreview, against },
    { name: `no-op up, ${with_}`, unit: "s", samples: samples.noOpUp },
    { name: `destroy, ${with_}`, unit: "s", samples: samples.destroy },
    {
      name: `status, ${with_}`,
      unit: "ms",
      samples: milliseconds(samples.status),
      goal: { words: "300 ms", limit: 300 },
    },
    { name: `env, ${with_}`, unit: "ms", samples: milliseconds(samples.env) },
  ];
}

interface Floor extends AsyncDisposable {
  readonly preview: () => Promise<number>;
}

/** A stack of the floor's program, in the same backend; nothing of it runs, so there is nothing to take down. */
async function floorStack(bench: Bench, { places, checkout }: TestStack, count: number): Promise<Floor> {
  const directory = join(checkout.dir, "floor");
  cpSync(join(dirname(import.meta.dirname), "floor"), directory, { recursive: true });
  const options = {
    cwd: directory,
    env: { ...pulumiShell(bench, { places }), FLOOR_SERVICES: String(count) },
  };
  const stack = ["--stack", `floor-${count}`];
  const pulumi = (...words: readonly string[]) => seconds(bench, ["pulumi", ...words, ...stack], options);
  await seconds(bench, ["pulumi", "stack", "init", `floor-${count}`, "--no-select"], options);
  await pulumi("up", "--yes", "--skip-preview");
  return {
    preview: () => pulumi("preview", "--expect-no-changes"),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
