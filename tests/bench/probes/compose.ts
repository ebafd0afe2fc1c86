import { askEngine, engineHost } from "#setup/docker-api.ts";
import { localChain } from "../../support/local-chain.ts";
import { programsIn } from "../../support/light.ts";
import { testStack, type Sections } from "../../support/test-stack.ts";
import { buildCompose, COMPOSE_VERSION } from "../compose/build.ts";
import { composeStack } from "../compose/stack.ts";
import { costs, engineroom, type Bench, type Costs, type Probe } from "../context.ts";
import { median, type Figure, type Findings } from "../figure.ts";

const PLAIN = 60;
const INTERVAL = "1s";

export const compose: Probe = {
  name: "compose",
  summary: `containers against docker compose ${COMPOSE_VERSION}: up, no-op up, preview, status, down`,
  run,
};

interface Case {
  readonly name: string;
  readonly ours: Sections;
  readonly theirs: Sections;
  /** What each may take, as a part of what compose takes. */
  readonly goals: Readonly<Partial<Record<Step, number>>>;
}

const STEPS = ["up", "noOpUp", "preview", "status", "down"] as const;
type Step = (typeof STEPS)[number];
type Samples = Readonly<Record<Step, Costs[]>>;

async function run(bench: Bench): Promise<Findings> {
  const without = await noEngine();
  if (without !== undefined) return { figures: [], notes: [`not measured: ${without}`] };
  const program = await buildCompose(bench.say, bench.signal);
  const cases: readonly Case[] = [
    {
      name: "whole chain",
      ours: (await localChain("container")).sections,
      theirs: (await localChain("container")).sections,
      goals: { up: 0.8 },
    },
    { name: `${PLAIN} containers`, ours: sleepers(), theirs: sleepers(), goals: { up: 1, down: 1 } },
  ];
  const figures: Figure[] = [];
  for (const one of cases) figures.push(...(await measure(bench, program, one)));
  return { figures, notes: [] };
}

const noEngine = (): Promise<string | undefined> =>
  askEngine(engineHost(process.env), { path: "/version" }).then(
    () => undefined,
    (error: unknown) => `no Docker engine answers (${error instanceof Error ? error.message : String(error)})`,
  );

/** As many containers that do nothing, each independent of the others, of one image. */
const sleepers = (): Sections => ({
  settings: { in: "container" },
  services: Object.fromEntries(
    Array.from({ length: PLAIN }, (_, index) => [
      `sleep-${index + 1}`,
      { kind: "process", ...programsIn("container"), command: ["sleep", "1000000"] },
    ]),
  ),
});

/** Images stay: what is compared is the start of containers, not of builds. */
const KEEP_IMAGES = ["--exclude", "**RemoteImage**", "--exclude", "**Command::image-**"];

async function measure(bench: Bench, program: string, { name, ours, theirs, goals }: Case): Promise<readonly Figure[]> {
  const purpose = name.replaceAll(" ", "-");
  await using own = testStack(bench.checkout, purpose, ours);
  await using other = testStack(bench.checkout, `peer-${purpose}`, theirs);
  bench.say(`compose: ${name}, once without measuring, which makes the images`);
  const samples = emptySamples();
  const peer = emptySamples();
  const call = await composeStack(program, other, own, INTERVAL);
  for (let run = 0; run <= bench.runs; run++) {
    if (run > 0) bench.say(`compose: ${name}, run ${run} of ${bench.runs}`);
    const ourSteps: Readonly<Record<Step, readonly string[]>> = {
      up: engineroom(own, "up", "--yes"),
      noOpUp: engineroom(own, "up", "--yes"),
      preview: engineroom(own, "preview", "--expect-no-changes"),
      status: engineroom(own, "status"),
      down: engineroom(own, "destroy", "--yes", ...KEEP_IMAGES),
    };
    const theirSteps: Readonly<Record<Step, readonly string[]>> = {
      up: [...call, "up", "--detach", "--wait"],
      noOpUp: [...call, "up", "--detach", "--wait"],
      preview: [...call, "--dry-run", "up", "--detach", "--wait"],
      status: [...call, "ps"],
      down: [...call, "down", "--volumes"],
    };
    for (const [steps, found] of [
      [ourSteps, samples],
      [theirSteps, peer],
    ] as const) {
      for (const step of STEPS) {
        const taken = await costs(bench, steps[step]);
        if (run > 0) found[step].push(taken);
      }
    }
  }
  return figuresOf(name, samples, peer, goals);
}

const emptySamples = (): Samples => ({ up: [], noOpUp: [], preview: [], status: [], down: [] });

function figuresOf(name: string, samples: Samples, peer: Samples, goals: Case["goals"]): readonly Figure[] {
  const names: Readonly<Record<Step, string>> = {
    up: `up, ${name}`,
    noOpUp: `no-op up, ${name}`,
    preview: `no-op preview, ${name}`,
    status: `status, ${name}`,
    down: `down, ${name}`,
  };
  return STEPS.flatMap((step) => {
    const theirs = peer[step].map(({ seconds }) => seconds);
    const factor = goals[step];
    const goal = factor === undefined ? {} : { goal: { words: `${factor} x compose`, limit: factor * median(theirs) } };
    const cpu = (costs: readonly Costs[]): readonly number[] => costs.map(({ cpuSeconds }) => cpuSeconds);
    return [
      {
        name: names[step],
        unit: "s" as const,
        samples: samples[step].map(({ seconds }) => seconds),
        against: { name: "compose", samples: theirs },
        ...goal,
      },
      {
        name: `  own CPU`,
        unit: "s" as const,
        samples: cpu(samples[step]),
        against: { name: "compose", samples: cpu(peer[step]) },
      },
    ];
  });
}
