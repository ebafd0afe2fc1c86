import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { readText } from "#observe/records.ts";
import type { Tools } from "#setup/tools.ts";

/** How many tests ended how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface SuiteContext {
  readonly projectDir: string;
  readonly cacheDir: string;
  readonly tools: Tools;
  readonly model: string;
  readonly env: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

/** One runner's tests. A suite that finds no test has failed. */
export interface Suite {
  readonly name: string;
  /** It has tests that run containers, and Ollama. */
  readonly containers?: true;
  readonly run: (context: SuiteContext) => Promise<Counts>;
}

const NONE: Counts = { passed: 0, failed: 0, skipped: 0 };

export const suites: readonly Suite[] = [
  check("prettier", ["prettier", "--check", "."]),
  check("eslint", ["eslint", "."]),
  check("tsc", ["tsc"]),
  check("knip", ["knip"]),
  vitest("unit"),
  vitest("property"),
  { name: "python", run: runPython },
  { name: "go", run: runGo },
  { ...vitest("toolchain"), containers: true },
  { ...vitest("integration"), containers: true },
  { name: "apps", run: runApps },
  { ...vitest("e2e"), containers: true },
];

export const sum = (all: readonly Counts[]): Counts =>
  all.reduce(
    (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }),
    NONE,
  );

/** A tool that says yes or no counts as one test. */
function check(name: string, argv: readonly [string, ...string[]]): Suite {
  return {
    name,
    run: async (context) => {
      const [program, ...args] = argv;
      const bin = join(context.projectDir, "node_modules", ".bin", program);
      return one((await show(bin, args, context)) === 0);
    },
  };
}

const one = (passed: boolean): Counts => ({ ...NONE, passed: passed ? 1 : 0, failed: passed ? 0 : 1 });

function vitest(project: string): Suite {
  return {
    name: project,
    run: (context) =>
      inTemporary(async (directory) => {
        const file = join(directory, "report.json");
        const bin = join(context.projectDir, "node_modules", ".bin", "vitest");
        const reporter = project === "unit" || project === "property" ? "default" : "verbose";
        const args = [
          "run",
          "--project",
          project,
          `--reporter=${reporter}`,
          "--reporter=json",
          `--outputFile.json=${file}`,
        ];
        const code = await show(bin, args, context);
        return settled(vitestCounts(readText(file)), code);
      }),
  };
}

/** @param text vitest's JSON report; without one nothing ran. */
export function vitestCounts(text: string | undefined): Counts {
  if (text === undefined) return NONE;
  const report = JSON.parse(text) as {
    readonly numPassedTests: number;
    readonly numFailedTests: number;
    readonly numPendingTests: number;
    readonly numTodoTests: number;
  };
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A runner that failed without a failed test (a file that does not load, an unhandled error), or that ran nothing, failed. */
export function settled(counts: Counts, exitCode: number): Counts {
  const nothing = counts.passed + counts.failed + counts.skipped === 0;
  return nothing || (exitCode !== 0 && counts.failed === 0) ? { ...counts, failed: counts.failed + 1 } : counts;
}

async function runPython(context: SuiteContext): Promise<Counts> {
  const python = context.tools.python?.path ?? "python3";
  const { stdout, exitCode } = await execa(python, ["-B", "tests/python/run.py"], {
    cwd: context.projectDir,
    env: context.env,
    extendEnv: false,
    reject: false,
    stderr: "inherit",
  });
  try {
    const { failures, skips, ...counts } = JSON.parse(stdout) as Counts & {
      readonly failures: readonly { readonly test: string; readonly trace: string }[];
      readonly skips: readonly unknown[];
    };
    for (const { test, trace } of failures) context.report(`${test}\n${trace}`);
    if (skips.length > 0) context.report(`skipped: ${JSON.stringify(skips)}`);
    return settled(counts, exitCode ?? 1);
  } catch {
    context.report(stdout);
    return one(false);
  }
}

const GO_MODULES = ["setup/toolchain/cli", "setup/toolchain/command"];

async function runGo(context: SuiteContext): Promise<Counts> {
  const { exitCode } = await execa("go", ["version"], { env: context.env, extendEnv: false, reject: false });
  if (exitCode !== 0) {
    context.report("skipped: there is no Go on PATH; the toolchain was downloaded, or built with a Go of its own");
    return { ...NONE, skipped: GO_MODULES.length };
  }
  const counts: Counts[] = [];
  for (const module of GO_MODULES) {
    const here = { ...context, projectDir: join(context.projectDir, module) };
    counts.push(one((await show("go", ["vet", "./..."], here)) === 0));
    const { stdout, exitCode: code } = await execa("go", ["test", "-json", "./..."], {
      cwd: here.projectDir,
      env: context.env,
      extendEnv: false,
      reject: false,
      stderr: "inherit",
    });
    counts.push(settled(goCounts(stdout), code ?? 1));
    if (code !== 0) context.report(goOutput(stdout));
  }
  return sum(counts);
}

interface GoEvent {
  readonly Action: string;
  readonly Test?: string;
  readonly Output?: string;
}

const goEvents = (text: string): readonly GoEvent[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as GoEvent);

/** @param text lines of `go test -json`; an event without a test speaks of a whole package. */
export function goCounts(text: string): Counts {
  const count = (action: string): number =>
    goEvents(text).filter((event) => event.Test !== undefined && event.Action === action).length;
  return { passed: count("pass"), failed: count("fail"), skipped: count("skip") };
}

const goOutput = (text: string): string =>
  goEvents(text)
    .map((event) => event.Output ?? "")
    .join("");

/** The sample applications' own tests, in an environment of their own against the real servers. */
async function runApps(context: SuiteContext): Promise<Counts> {
  const app = join(context.projectDir, "examples/apps/api");
  const python = await testEnvironment(context, app);
  const { tools } = context;
  const env = {
    ...context.env,
    ...tools["llama-server"]?.env,
    PYTHONDONTWRITEBYTECODE: "1",
    ENGINEROOM_TEST_POSTGRES: dirname(tools.postgres?.path ?? ""),
    ENGINEROOM_TEST_REDIS: tools.redis?.path ?? "",
    ENGINEROOM_TEST_LLAMA: tools["llama-server"]?.path ?? "",
    ENGINEROOM_TEST_MODEL: context.model,
  };
  return await inTemporary(async (directory) => {
    const file = join(directory, "report.xml");
    const args = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", `--junitxml=${file}`];
    const code = await show(python, args, { ...context, projectDir: app, env });
    return settled(junitCounts(readText(file)), code);
  });
}

/** Made once for each content of the requirements. */
async function testEnvironment(context: SuiteContext, app: string): Promise<string> {
  const { createHash } = await import("node:crypto");
  const files = ["requirements.txt", "requirements-dev.txt"].map((name) => join(app, name));
  const hash = createHash("sha256")
    .update(files.map((file) => readFileSync(file)).join("\0"))
    .digest("hex")
    .slice(0, 12);
  const home = join(context.cacheDir, "environments", `tests-${hash}`);
  const python = join(home, "bin", "python");
  if (readText(join(home, ".done")) === undefined) {
    await rm(home, { recursive: true, force: true });
    await show(context.tools.python?.path ?? "python3", ["-m", "venv", home], context);
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
    const code = await show(python, [...install, ...files.flatMap((file) => ["-r", file])], context);
    if (code === 0) await execa("touch", [join(home, ".done")]);
  }
  return python;
}

/** @param text a JUnit report; errors (a test that could not even begin) count as failures. */
export function junitCounts(text: string | undefined): Counts {
  const suite = /<testsuite [^>]*>/.exec(text ?? "")?.[0] ?? "";
  const number = (name: string): number => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  const skipped = number("skipped");
  return { passed: number("tests") - failed - skipped, failed, skipped };
}

/** Runs a program with its output on ours; its exit code. */
async function show(program: string, args: readonly string[], context: SuiteContext): Promise<number> {
  const { exitCode } = await execa(program, args, {
    cwd: context.projectDir,
    env: context.env,
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  return exitCode ?? 1;
}

async function inTemporary<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "engineroom-test-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
