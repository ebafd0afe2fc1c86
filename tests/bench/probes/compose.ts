import { askEngine, engineHost } from "#setup/docker-api.ts";
import { programsIn } from "../../support/light.ts";
import { localChain } from "../../support/local-chain.ts";
import { testStack, type Sections } from "../../support/test-stack.ts";
import { buildCompose, COMPOSE_VERSION } from "../compose/build.ts";
import { composeStack } from "../compose/stack.ts";
import { costs, engineroom, type Bench, type Costs, type Probe } from "../context.ts";
import { median, type Figure, type Findings } from "../figure.ts";

const PLAIN = 60;

const measures = `containers against docker compose ${COMPOSE_VERSION}: up, no-op up, preview, status, down`;

export const compose: Probe = {
  name: "compose",
  summary: `${measures}; the whole chain`,
  run: (bench) => run(bench, chain),
};

export const composeMany: Probe = {
  name: "compose-many",
  summary: `the same of ${PLAIN} containers that do nothing`,
  run: (bench) => run(bench, many),
};

/** In this order on each side. */
const STEPS = ["up", "noOpUp", "preview", "status", "down"] as const;
type Step = (typeof STEPS)[number];
type Commands = Readonly<Record<Step, readonly string[]>>;
type Samples = Readonly<Record<Step, Costs[]>>;

interface Case {
  readonly name: string;
  readonly ours: Sections;
  readonly theirs: Sections;
  /** How often the engine asks for compose; the one with the fastest `up` is the peer. */
  readonly intervals: readonly string[];
  /** Part of compose's time that each step may take. */
  readonly goals: Readonly<Partial<Record<Step, number>>>;
  readonly note: string;
}

const chain = async (): Promise<Case> => ({
  name: "whole chain",
  ours: (await localChain("container")).sections,
  theirs: (await localChain("container")).sections,
  intervals: ["1s", "500ms"],
  goals: { up: 0.8 },
  note: "compose's health checks do the unit of work of our own checks inside the containers, by bash (tests/bench/compose/health.sh)",
});

const many = (): Promise<Case> =>
  Promise.resolve({
    name: `${PLAIN} containers`,
    ours: sleepers(),
    theirs: sleepers(),
    intervals: ["1s"],
    goals: { up: 1, down: 1 },
    note: "without a health check compose waits until each runs, we until each has run for 1 s",
  });

async function run(bench: Bench, make: () => Promise<Case>): Promise<Findings> {
  const without = await noEngine();
  if (without !== undefined) return { figures: [], notes: [`not measured: ${without}`] };
  const program = await buildCompose(bench.say, bench.signal);
  const one = await make();
  const { figures, notes } = await measure(bench, program, one);
  return {
    figures,
    notes: [
      "the compose file is made from our own plan: same images, users, limits, mounts, networks, order; files that up writes are there beforehand for compose",
      "each: up from nothing, no-op up, preview (compose: --dry-run up), status (compose: ps), down with data, without images",
      "CPU: of the command and what it starts, without the engine's own",
      one.note,
      ...notes,
    ],
  };
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

/** What is compared is the start of containers, not of builds. */
const KEEP_IMAGES = ["--exclude", "**RemoteImage**", "--exclude", "**Command::image-**"];

async function measure(bench: Bench, program: string, one: Case): Promise<Findings> {
  const purpose = one.name.replaceAll(" ", "-");
  await using own = testStack(bench.checkout, purpose, one.ours);
  await using other = testStack(bench.checkout, `peer-${purpose}`, one.theirs);
  const ours = emptySamples();
  const peers: { readonly interval: string; readonly call: readonly string[]; readonly samples: Samples }[] = [];
  // Each writes the same files, with secrets of its own.
  for (const interval of one.intervals)
    peers.push({ interval, call: await composeStack(program, other, own, interval), samples: emptySamples() });
  const sides = [
    { commands: ourCommands((...words) => engineroom(own, ...words)), samples: ours },
    ...peers.map(({ call, samples }) => ({ commands: theirCommands(call), samples })),
  ];
  for (let run = 0; run <= bench.runs; run++) {
    bench.say(
      `compose: ${one.name}, ${run === 0 ? "once without measuring, which makes images" : `run ${run} of ${bench.runs}`}`,
    );
    for (const { commands, samples } of sides) {
      for (const step of STEPS) {
        const taken = await costs(bench, commands[step], {}, MISCOUNTED);
        if (run > 0) samples[step].push(taken);
      }
    }
  }
  const upOf = ({ samples }: (typeof peers)[number]): number => median(samples.up.map(({ seconds }) => seconds));
  const [best] = peers.toSorted((a, b) => upOf(a) - upOf(b));
  return {
    figures: best ? figuresOf(one, ours, best.samples) : [],
    notes:
      peers.length > 1
        ? [
            `${one.name}, compose's up by interval of its health checks: ` +
              peers.map((peer) => `${peer.interval} ${upOf(peer).toFixed(2)} s`).join(", "),
          ]
        : [],
  };
}

/** Engines before 23 now and then miscount a network's endpoints; it stays, without containers, and serves again. */
const MISCOUNTED = /failed to remove network .* has active endpoints/;

const emptySamples = (): Samples => ({ up: [], noOpUp: [], preview: [], status: [], down: [] });

const ourCommands = (command: (...words: readonly string[]) => readonly string[]): Commands => ({
  up: command("up", "--yes"),
  noOpUp: command("up", "--yes"),
  preview: command("preview", "--expect-no-changes"),
  status: command("status"),
  down: command("destroy", "--yes", ...KEEP_IMAGES),
});

const theirCommands = (call: readonly string[]): Commands => ({
  up: [...call, "up", "--detach", "--wait"],
  noOpUp: [...call, "up", "--detach", "--wait"],
  preview: [...call, "--dry-run", "up", "--detach", "--wait"],
  status: [...call, "ps"],
  down: [...call, "down", "--volumes"],
});

const NAMES: Readonly<Record<Step, string>> = {
  up: "up",
  noOpUp: "no-op up",
  preview: "no-op preview",
  status: "status",
  down: "down",
};

function figuresOf({ name, goals }: Case, ours: Samples, peer: Samples): readonly Figure[] {
  return STEPS.flatMap((step): readonly Figure[] => {
    const samples = ours[step].map(({ seconds }) => seconds);
    const theirs = peer[step].map(({ seconds }) => seconds);
    const factor = goals[step];
    return [
      {
        name: `${NAMES[step]}, ${name}`,
        unit: "s",
        samples,
        against: { name: "compose", samples: theirs },
        ...(factor !== undefined && { goal: { words: `${factor} x compose`, limit: factor * median(theirs) } }),
      },
      {
        name: "  its CPU",
        unit: "s",
        samples: ours[step].map(({ cpuSeconds }) => cpuSeconds),
        against: { name: "compose", samples: peer[step].map(({ cpuSeconds }) => cpuSeconds) },
      },
    ];
  });
}
