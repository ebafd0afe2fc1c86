import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, start } from "../support/driver.ts";
import { exported } from "../support/exported.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { isAlive, processesWith, signal, type Process } from "../support/processes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

/** The issue's own bound. */
const CTRL_C_SECONDS = 10;

foreignersStayUntouched();

describe("an up that is interrupted while a build, a job and a wait are under way", () => {
  let clone: Checkout;
  let stack: TestStack;
  let marks: Marks;

  beforeAll(async () => {
    clone = checkout();
    marks = makeMarks(clone);
    makeSlowApp(clone, marks);
    stack = testStack(clone, "interrupt", await slowSections(marks));
  });

  beforeEach(({ task }) => {
    marks.clear();
    // Another content is another build.
    writeFileSync(join(clone.dir, "slow-app", "for"), task.name);
  });

  afterEach(async () => {
    marks.go();
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function nothingIsUnderWay(): Promise<void> {
    await until("every part of the command to end", () => commandsOf(clone).length === 0, 5000);
    expect((await exported(stack)).pending_operations).toEqual([]);
  }

  async function nextUpCompletes(): Promise<string> {
    marks.go();
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(Object.keys(await stack.pids()).sort()).toEqual(["pages", "slow"]);
    return up.output;
  }

  it("ends by SIGINT to its process group, and the next up completes", async () => {
    await using up = await start(engineroom, stack, "up");
    await marks.allBegun(up.output);
    await until("the wait to begin", () => up.output().includes("Ready slow-ready creating"));
    const began = performance.now();
    up.interrupt();
    const ended = await up.ended;
    expect((performance.now() - began) / 1000).toBeLessThan(CTRL_C_SECONDS);
    expect(ended.exitCode, ended.output).toBe(130);
    await nothingIsUnderWay();
    await nextUpCompletes();
  });

  it.skipIf(spawnSync("tmux", ["-V"]).status !== 0)("ends by Ctrl-C in a terminal (needs tmux)", async () => {
    const tmux = (...args: readonly string[]): void => {
      execFileSync("tmux", ["-L", `e2e-${process.pid}`, "-f", "/dev/null", ...args], {
        cwd: clone.dir,
        env: clone.env,
        stdio: "ignore",
      });
    };
    const ended = join(clone.base, "ended");
    tmux("new-session", "-d", "-x", "150", "-y", "50", "/bin/sh");
    onTestFinished(() => tmux("kill-server"));
    tmux("send-keys", `${engineroom.argv(stack, "up").join(" ")}; echo $? > ${ended}`, "Enter");
    await marks.allBegun(() => "");
    const began = performance.now();
    tmux("send-keys", "C-c");
    await until("the command to end", () => existsSync(ended) && readFileSync(ended, "utf8") !== "");
    expect((performance.now() - began) / 1000).toBeLessThan(CTRL_C_SECONDS);
    expect(readFileSync(ended, "utf8")).toBe("130\n");
    await nothingIsUnderWay();
    await nextUpCompletes();
  });

  it("is found by another up, which names it and changes nothing", async () => {
    await using up = await start(engineroom, stack, "up");
    await marks.allBegun(up.output);
    const [pulumi] = pulumiOf(clone);
    const second = await engineroom.run(stack, "up");
    expect(second.exitCode, second.output).toBe(1);
    expect(second.output).toContain(`error STACK_LOCKED: stack ${stack.name}: expected nobody else to change it`);
    expect(second.output).toContain(`got process ${pulumi?.pid ?? 0} of `);
    marks.go();
    expect((await up.ended).exitCode, up.output()).toBe(0);
  });

  it("is explained and completed after a SIGKILL of pulumi", async () => {
    await using up = await start(engineroom, stack, "up");
    await marks.allBegun(up.output);
    const [pulumi] = pulumiOf(clone);
    signal(pulumi!, "SIGKILL");
    expect((await up.ended).exitCode).toBe(1);
    await until("plugins, language host and builds to end", () => commandsOf(clone).length === 0, 5000);

    const left = await exported(stack);
    expect(left.pending_operations).not.toEqual([]);
    const output = await nextUpCompletes();
    expect(output).toContain(`cleared the lock of a run that died: process ${pulumi?.pid ?? 0} of `);
    expect(output).toContain("the last run was killed while creating build-slow-app");
    expect(output).toContain("the last run was killed while creating task-run");
  });
});

interface Marks {
  readonly dir: string;
  readonly clear: () => void;
  /** Lets the build, the job and the service come to their ends. */
  readonly go: () => void;
  readonly allBegun: (output: () => string) => Promise<void>;
}

/** Files by which the slow things and the test tell each other how far they are. */
function makeMarks({ base }: Checkout): Marks {
  const dir = join(base, "marks");
  const go = join(dir, "go");
  const begun = ["build", "job", "service"].map((name) => join(dir, `${name}-began`));
  mkdirSync(dir, { mode: 0o777 });
  // Written by the service account.
  execFileSync("chmod", ["777", dir]);
  return {
    dir,
    clear: () => [go, ...begun].forEach((path) => rmSync(path, { force: true })),
    go: () => writeFileSync(go, ""),
    allBegun: async (output) => {
      try {
        await until("build, job and service to begin", () => begun.every((path) => existsSync(path)), 60_000);
      } catch (error) {
        throw new Error(output(), { cause: error });
      }
    },
  };
}

const waiting = (marks: Marks, name: string): string =>
  `touch ${marks.dir}/${name}-began; while [ ! -e ${marks.dir}/go ]; do sleep 0.1; done`;

/** An application whose build lasts until the test says go. */
function makeSlowApp({ dir }: Checkout, marks: Marks): void {
  const app = join(dir, "slow-app");
  mkdirSync(app);
  const manifest = { name: "slow-app", version: "1.0.0" };
  const build = `${waiting(marks, "build")}; mkdir -p dist; echo built > dist/index.html`;
  writeFileSync(join(app, "package.json"), JSON.stringify({ ...manifest, scripts: { build } }));
  const lock = { ...manifest, lockfileVersion: 3, requires: true, packages: { "": manifest } };
  writeFileSync(join(app, "package-lock.json"), JSON.stringify(lock));
}

async function slowSections(marks: Marks): Promise<Sections> {
  const listen = 'exec python3 -m http.server "$1" --bind 127.0.0.1';
  return {
    services: {
      pages: { kind: "frontend", build: "./slow-app", port: await freePort() },
      task: { kind: "job", command: ["sh", "-c", waiting(marks, "job")] },
      slow: {
        kind: "process",
        port: await freePort(),
        command: ["sh", "-c", `${waiting(marks, "service")}; ${listen}`, "sh", "${self.port}"],
      },
    },
  };
}

/** Everything that the command line has started and that lives: pulumi, its plugins, the language host, builds. */
const commandsOf = ({ env }: Checkout): readonly Process[] =>
  processesWith(`ENGINEROOM_STATE_HOME=${env["ENGINEROOM_STATE_HOME"] ?? ""}`).filter(
    (one) => isAlive(one) && !one.argv.startsWith("tmux") && one.argv !== "/bin/sh",
  );

const pulumiOf = (clone: Checkout): readonly Process[] =>
  commandsOf(clone).filter(({ argv }) => /^(\S*\/)?pulumi up /.test(argv));
