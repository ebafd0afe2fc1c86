import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processTree } from "#checks/process-tree.ts";
import { memoryOf } from "#operations/memory.ts";
import { localChain } from "../../support/local-chain.ts";
import { testStack, type TestStack } from "../../support/test-stack.ts";
import { engineroom, seconds, type Bench, type Probe } from "../context.ts";
import type { Findings } from "../figure.ts";

const SAMPLE_EVERY_MS = 50;
const MEGABYTE = 1_000_000;
const PEAK_MB = 750;
const RESIDENT_MB = 40;

export const memory: Probe = {
  name: "memory",
  summary: "peak memory of up, and what stays resident beside the services",
  run,
};

async function run(bench: Bench): Promise<Findings> {
  await using stack = testStack(bench.checkout, "memory", (await localChain("host")).sections);
  const peaks: number[] = [];
  const resident: number[] = [];
  let widest: readonly string[] = [];
  for (let run = 0; run <= bench.runs; run++) {
    bench.say(run === 0 ? "memory: once without measuring" : `memory: run ${run} of ${bench.runs}`);
    const peak = await peakOf(bench, stack);
    bench.say(`  peak ${peak.megabytes.toFixed(0)} MB`);
    if (run > 0) {
      peaks.push(peak.megabytes);
      resident.push((await memoryOf([(await stack.supervisor()).pid])) / MEGABYTE);
      widest = peak.programs;
    }
    await seconds(bench, engineroom(stack, "destroy", "--yes"));
  }
  return {
    figures: [
      {
        name: "peak memory of up, whole chain",
        unit: "MB",
        samples: peaks,
        goal: { words: `${PEAK_MB} MB`, limit: PEAK_MB },
      },
      {
        name: "resident beside the services",
        unit: "MB",
        samples: resident,
        goal: { words: `${RESIDENT_MB} MB`, limit: RESIDENT_MB },
      },
    ],
    notes: [
      `proportional set sizes of ./engineroom and everything below it but services and jobs, summed every ${SAMPLE_EVERY_MS} ms`,
      `at the last run's peak: ${widest.join(", ")}`,
      "resident: supervisord once all is up; nothing else of ours stays",
    ],
  };
}

interface Peak {
  readonly megabytes: number;
  /** What ran at that moment. */
  readonly programs: readonly string[];
}

async function peakOf({ checkout, signal }: Bench, stack: TestStack): Promise<Peak> {
  signal.throwIfAborted();
  const [program = "", ...args] = engineroom(stack, "up", "--yes");
  const child = spawn(program, args, { cwd: checkout.dir, env: checkout.env, stdio: "ignore", signal });
  const ended = once(child, "exit");
  let peak: Peak = { megabytes: 0, programs: [] };
  while (child.exitCode === null && child.signalCode === null) {
    const tree = processTree(child.pid ?? 0).filter(isOurs);
    const sizes = await Promise.all(tree.map(async (pid) => ({ pid, bytes: await memoryOf([pid]) })));
    const megabytes = sizes.reduce((sum, { bytes }) => sum + bytes, 0) / MEGABYTE;
    if (megabytes > peak.megabytes) {
      peak = { megabytes, programs: sizes.map(({ pid, bytes }) => `${nameOf(pid)} ${(bytes / MEGABYTE).toFixed(0)}`) };
    }
    await sleep(SAMPLE_EVERY_MS);
  }
  await ended;
  if (child.exitCode !== 0) throw new Error(`up: expected exit code 0, got ${child.exitCode ?? "none"}`);
  return peak;
}

/** Services, jobs and supervisord carry the owner in their environment. */
const isOurs = (pid: number): boolean => !procFile(pid, "environ").includes("\0ENGINEROOM_INSTANCE=");

const nameOf = (pid: number): string => basename(procFile(pid, "cmdline").split("\0")[0] ?? "") || "ended";

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}
