import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { isAlive, startStranger, type Stranger } from "../support/processes.ts";
import { modelFile } from "../support/servers.ts";
import { listeners, testStack, type Ended, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

const isRoot = process.getuid?.() === 0;

describe("a world in which nothing is as it should be", () => {
  let clone: Checkout;
  let stack: TestStack;
  let stranger: Stranger;
  let port: number;
  const ended: Record<string, Ended> = {};

  beforeAll(async () => {
    clone = checkout();
    port = await freePort();
    stranger = await startStranger(
      ["/usr/bin/python3", "-m", "http.server", String(port), "--bind", "127.0.0.1"],
      clone.base,
    );
    await until("the stranger to listen", async () => (await listeners(port)).length > 0);
    makeModels(clone.base);
    stack = testStack(clone, "world", await badWorld(clone.base, port));
    ended["preview"] = await engineroom.run(stack, "preview");
    ended["up"] = await engineroom.run(stack, "up");
    ended["pulumi"] = await pulumi.run(stack, "up");
  });

  afterAll(async () => {
    await stranger[Symbol.asyncDispose]();
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  /** The line about one thing, which preview, up and plain pulumi must all say alike. */
  function line(where: string): string {
    const lines = Object.values(ended).map(({ output }) => {
      const found = output.split("\n").find((text) => text.trimStart().startsWith(`${where}: `));
      // Time goes on between them.
      return found?.trim().replace(/last change [\d.]+ s ago/, "last change just now");
    });
    expect(new Set(lines).size, lines.join("\n")).toBe(1);
    return lines[0] ?? "";
  }

  it("is refused by preview, up and plain pulumi, and nothing was started or written", () => {
    expect(Object.values(ended).map(({ exitCode }) => exitCode !== 0)).toEqual([true, true, true]);
    expect([ended["preview"]?.exitCode, ended["up"]?.exitCode], ended["up"]?.output).toEqual([1, 1]);
    expect(ended["up"]?.output).toContain(`The world around stack ${stack.name} has `);
    expect(stack.processes()).toEqual([]);
    expect(existsSync(stack.places.stackDir)).toBe(false);
  });

  it("a port in use: by whom, and that process goes on", () => {
    expect(line("services.taken.port")).toMatch(
      new RegExp(
        `expected port ${port} to be free, got process ${stranger.pid} \\(/usr/bin/python3 -m http.server .*\\) of user \\S+\\. ` +
          `Fix: end that program yourself, or set services.taken.port to another number \\[PORT_TAKEN\\]`,
      ),
    );
    expect(isAlive(stranger)).toBe(true);
  });

  it.each([
    ["gone", /gone\.gguf does not exist\. Fix: put the file there/],
    ["empty", /empty\.gguf is no whole model: it is empty\. Fix: fetch it again/],
    ["short", /short\.gguf is no whole model: .*\. Fix: fetch it again/],
    ["growing", /growing\.gguf is still being written .*\. Fix: run this again when the copy has ended/],
    ["fifo", /fifo\.gguf: expected a regular file, got a FIFO\. Fix: name the model file itself/],
  ])("a model file that is %s", (name, words) => {
    expect(line(`models.${name}`)).toMatch(words);
    expect(line(`models.${name}`)).toContain("[MODEL_FILE]");
  });

  it("a program that is not there", () => {
    expect(line("services.lost.command")).toMatch(
      /expected a program that can be run, got `no-such-program`.* Fix: install it, or give its absolute path \[PROGRAM_MISSING\]/,
    );
  });

  it("a secret's file that is not there", () => {
    expect(line("secrets.missing.file")).toMatch(
      /expected a file that can be read at \S+, got no such file\. Fix: create it with mode 0600/,
    );
  });

  it.skipIf(isRoot)("a secret's file that we may not read (root may read all)", () => {
    expect(line("secrets.locked.file")).toContain("got no permission to read it");
  });
});

describe("what only the start shows", () => {
  let clone: Checkout;

  beforeAll(() => {
    clone = checkout();
  });

  afterAll(() => {
    clone[Symbol.dispose]();
  });

  it("a program that exits at once: its last 20 log lines", async () => {
    const command = ["sh", "-c", "for n in $(seq 30); do echo line $n.; done; exit 4"];
    await using stack = testStack(clone, "exits", { services: { brief: { kind: "process", restart: "no", command } } });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toContain("brief: its program has ended (exit status 4). Fix: ./engineroom logs brief");
    const quoted = [...up.output.matchAll(/^ +line (\d+)\.$/gm)].map(([, number]) => Number(number));
    expect([...new Set(quoted)]).toEqual(Array.from({ length: 20 }, (_, index) => index + 11));
  });

  it("a model with another content than declared", async () => {
    const { services, models } = await oneModel("wrong", { file: modelFile, sha256: "0".repeat(64) });
    await using stack = testStack(clone, "hash", { models, services });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toMatch(/gemma-3-270m-q4_k_m\.gguf.*a5fd3b62230aa5ec/);
    expect(Object.keys(existsSync(stack.places.stackDir) ? await stack.pids() : {})).toEqual([]);
  });

  it("a full disk in the state directory", async ({ skip }) => {
    const state = clone.env["ENGINEROOM_STATE_HOME"] ?? "";
    mkdirSync(state, { recursive: true });
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=32m,mode=0755", "tmpfs", state]);
    if (mounted.status !== 0) skip("mount: only root may mount a tmpfs of limited size");
    onTestFinished(() => void execFileSync("umount", [state]));
    await using stack = testStack(clone, "disk", {
      services: { quiet: { kind: "process", command: ["sleep", "100000"] } },
    });
    const words =
      /expected at least 64 MiB free in the state directory, got \d+ MiB\. Fix: free some space there .*ENGINEROOM_STATE_HOME/;
    for (const verb of ["preview", "up"] as const) {
      const { exitCode, output } = await engineroom.run(stack, verb);
      expect(exitCode, output).toBe(1);
      expect(output).toMatch(words);
    }
    expect(stack.processes()).toEqual([]);
  });
});

async function badWorld(base: string, port: number): Promise<Sections> {
  const sleeping = { kind: "process", command: ["sleep", "100000"] };
  const models = Object.fromEntries(
    ["gone", "empty", "short", "growing", "fifo"].map((name) => [name, { file: join(base, `${name}.gguf`) }]),
  );
  const chats = Object.keys(models).map(async (model) => [
    `chat-${model}`,
    { kind: "llama-server", model, contextSize: 512, port: await freePort() },
  ]);
  return {
    models: { ...models, growing: { ...models["growing"], stable: "10m" } },
    secrets: { missing: { file: join(base, "no-such-secret") }, locked: { file: lockedFile(base) } },
    services: {
      ...(Object.fromEntries(await Promise.all(chats)) as Record<string, object>),
      taken: { ...sleeping, port },
      lost: { kind: "process", command: ["no-such-program"] },
    },
  };
}

function lockedFile(base: string): string {
  const path = join(base, "locked");
  writeFileSync(path, "x", { mode: 0o000 });
  return path;
}

async function oneModel(name: string, model: object): Promise<Pick<Sections, "models" | "services">> {
  const chat = { kind: "llama-server", model: name, contextSize: 512, port: await freePort() };
  return { models: { [name]: model }, services: { chat } };
}

/** None of them was touched lately, but for the one that grows. */
function makeModels(base: string): void {
  const beginning = Buffer.alloc(1_000_000);
  const model = openSync(modelFile, "r");
  readSync(model, beginning, 0, beginning.length, 0);
  closeSync(model);
  const longAgo = new Date("2020-01-01");
  for (const [name, content] of Object.entries({ empty: Buffer.alloc(0), short: beginning })) {
    writeFileSync(join(base, `${name}.gguf`), content);
    utimesSync(join(base, `${name}.gguf`), longAgo, longAgo);
  }
  writeFileSync(join(base, "growing.gguf"), beginning);
  execFileSync("mkfifo", [join(base, "fifo.gguf")]);
}
