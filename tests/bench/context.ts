import { readFileSync } from "node:fs";
import { type Options } from "execa";
import { pulumiEnvironment } from "#setup/environment.ts";
import { readTools } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";
import type { Checkout } from "../support/checkout.ts";
import { runIn, type Ended, type TestStack } from "../support/test-stack.ts";
import { timed, type Findings } from "./figure.ts";

/** What every probe works with. */
export interface Bench {
  /** A copy of the working tree with places of its own: nobody's edits or stacks get in. */
  readonly checkout: Checkout;
  readonly runs: number;
  /** Aborts when somebody wants it to end. */
  readonly signal: AbortSignal;
  /** Says what goes on. */
  readonly say: (line: string) => void;
}

export interface Probe {
  readonly name: string;
  readonly summary: string;
  readonly run: (bench: Bench) => Promise<Findings>;
}

/** An interrupted `up` ends within 10 s; killed before, it would leave Pulumi behind. */
const PATIENCE_MS = 20_000;

/** Seconds that a command took, which must succeed. */
export async function seconds(bench: Bench, argv: readonly string[], options: Options = {}): Promise<number> {
  return (await costs(bench, argv, options)).seconds;
}

export interface Costs {
  readonly seconds: number;
  /** Of the command and all that it started and waited for; nothing else may run below the bench meanwhile. */
  readonly cpuSeconds: number;
}

/**
 * What a command took, which must succeed.
 *
 * @param excused what a command may fail with nevertheless, because it is the engine's own fault.
 */
export async function costs(
  bench: Bench,
  argv: readonly string[],
  options: Options = {},
  excused?: RegExp,
): Promise<Costs> {
  const before = childrenCpuSeconds();
  const { seconds: taken, result } = await timed(() => command(bench, argv, options, excused));
  const cpuSeconds = childrenCpuSeconds() - before;
  bench.say(`  ${argv.join(" ")}: ${taken.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s CPU${phases(result)}`);
  return { seconds: taken, cpuSeconds };
}

/** Of children that have ended: fields 16 and 17 of the kernel's line, in ticks of 10 ms. */
function childrenCpuSeconds(): number {
  const [, , , , , , , , , , , , , user = "0", system = "0"] =
    readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(user) + Number(system)) / 100;
}

/** What `up` and the like say about their own time. */
const phases = ({ output }: Ended): string => {
  const line = /^set-up .*$/m.exec(output)?.[0];
  return line === undefined ? "" : ` (${line})`;
};

async function command(bench: Bench, argv: readonly string[], options: Options, excused?: RegExp): Promise<Ended> {
  bench.signal.throwIfAborted();
  const limits = { timeout: 600_000, cancelSignal: bench.signal, forceKillAfterDelay: PATIENCE_MS };
  const ended = await runIn(bench.checkout, argv, { ...limits, ...options });
  bench.signal.throwIfAborted();
  if (ended.exitCode === 0) return ended;
  if (excused?.test(ended.output)) {
    bench.say(`  excused: ${ended.output.split("\n").findLast((line) => excused.test(line)) ?? ""}`);
    return ended;
  }
  throw new Error(`${argv.join(" ")}: expected exit code 0, got ${ended.exitCode ?? "none"}:\n${ended.output}`);
}

/** The environment that `./engineroom env` makes, for plain `pulumi`. */
export function pulumiShell(
  { checkout }: Bench,
  { places }: Pick<TestStack, "places">,
): Readonly<Record<string, string>> {
  const host = hostPlaces(checkout.env, process.getuid?.() ?? 0);
  const tools = readTools(host.cacheDir);
  return { ...checkout.env, ...pulumiEnvironment({ host, project: places, tools, env: checkout.env }) };
}

export const engineroom = ({ name }: TestStack, ...words: readonly string[]): readonly string[] => [
  "./engineroom",
  "--stack",
  name,
  ...words,
];
