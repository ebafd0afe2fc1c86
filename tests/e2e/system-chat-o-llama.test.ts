import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { isAlive, startStranger } from "../support/processes.ts";
import { serveHttp, type LocalServer } from "../support/servers.ts";
import { systemSections } from "../support/system-stack.ts";
import { listeners, testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Pulumi.chat-o-llama.yaml as it stands but for its ports, by the "Works when" list of the system as far as up and
// destroy go: O1 to O3, O7, O10, O17, O20. Does not prove: a log file for each start, start, stop, switch, --backends;
// the Ollama here is a stand-in, tests/e2e/ollama.test.ts has the real one.

foreignersStayUntouched();

const APP = "examples/systems/chat-o-llama";

interface Own {
  readonly app?: object;
  readonly ollama?: object;
}

const sections = (port: number, { app, ollama }: Own = {}): ReturnType<typeof systemSections> => {
  const { services, ...rest } = systemSections("chat-o-llama", {}, { ollama: ollama ?? {} });
  return { ...rest, services: { ...services, app: { ...services["app"], port, ...app } } };
};

describe("what it is", () => {
  let clone: Checkout;
  let stack: TestStack;
  let ollama: LocalServer;
  let port: number;
  let up: Ended;

  /** Outside of the checkout, where the account of the services may write and everybody may read. */
  const own = (name: string): string => join(clone.base, "own", name);
  const envOf = (): Record<string, string> => ({
    ...(systemSections("chat-o-llama", {}, {}).services["app"]?.["env"] as Record<string, string>),
    CONFIG_FILE: own("config.json"),
  });
  const whole = (ollamaPort: number) =>
    sections(port, {
      app: { env: envOf(), pidFile: own("process.pid") },
      ollama: { port: ollamaPort, ready: { timeout: "2s" } },
    });
  const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
  const chat = async (): Promise<unknown> => {
    const headers = { "Content-Type": "application/json" };
    return (await fetch(url("/api/chat"), { method: "POST", headers, body: '{"message":"hello"}' })).json();
  };

  beforeAll(async () => {
    clone = checkout();
    ollama = await serveHttp((request, response) => {
      const reply = { "/api/tags": { models: [{ name: "tiny:latest" }] }, "/api/chat": { message: { content: "hi" } } };
      response.end(JSON.stringify(reply[request.url as keyof typeof reply]));
    });
    port = await freePort();
    mkdirSync(own("models/deep"), { recursive: true });
    chmodSync(own(""), 0o777);
    writeFileSync(own("models/deep/tiny.gguf"), "GGUF");
    const config = JSON.parse(readFileSync(join(clone.dir, APP, "config.json"), "utf8")) as { llamacpp: object };
    writeFileSync(
      own("config.json"),
      JSON.stringify({ ...config, llamacpp: { ...config.llamacpp, model_path: own("models") }, mine: "kept" }),
    );
    stack = testStack(clone, "chat-o-llama", whole(ollama.port));
    up = await engineroom.run(stack, "up");
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    await ollama[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("O1: comes up, healthy, with its log", async () => {
    expect(up.exitCode, up.output).toBe(0);
    expect(up.output).toContain(url(""));
    expect(await (await fetch(url("/health"))).json()).toMatchObject({ status: "healthy" });
    expect(readFileSync(join(stack.places.logsDir, "app.log"), "utf8")).toContain("GET /health");
  });

  it("O2: its PID file names the process that has the port, in the application's own environment", async () => {
    const pid = Number(readFileSync(own("process.pid"), "utf8"));
    expect(await listeners(port)).toEqual([pid]);
    const process = stack.processes().find((one) => one.pid === pid);
    expect(process?.argv).toBe("python app.py");
    expect(process?.env).toContain(`PORT=${port}`);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe("python\0app.py\0");
    expect(process?.env.find((one) => one.startsWith("PATH="))).toMatch(/^PATH=\S+\/chat-o-llama-\w+\/\.venv\/bin:/);
  });

  it("asks the back end that its configuration names", async () => {
    expect(await (await fetch(url("/api/backend"))).json()).toEqual({ active: "ollama", reachable: true });
    expect(await chat()).toEqual({ backend: "ollama", reply: "hi" });
  });

  it("O3: a second up changes nothing", async () => {
    const before = await stack.running();
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(await stack.running()).toEqual(before);
  });

  it("O17: without Ollama it comes up with a warning, and answers through the other back end", async () => {
    const gone = await freePort();
    stack.write(whole(gone));
    const later = await engineroom.run(stack, "up");
    expect(later.exitCode, later.output).toBe(0);
    expect(later.output).toMatch(new RegExp(`ollama: not ready after .*http://127\\.0\\.0\\.1:${gone}\\S* refused`));
    expect(later.output).toContain("(required: false, so the others go on)");
    expect(await (await fetch(url("/api/backend"))).json()).toEqual({ active: "ollama", reachable: false });
    expect(await chat()).toMatchObject({ backend: "llamacpp", reply: "tiny.gguf: hello" });
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });

  it("O20: destroy takes the process, its port and its PID file, and nothing of the application's own", async () => {
    const config = readFileSync(own("config.json"), "utf8");
    for (const time of ["once", "twice"]) {
      const destroy = await engineroom.run(stack, "destroy");
      expect(destroy.exitCode, `${time}: ${destroy.output}`).toBe(0);
    }
    expect(stack.processes()).toEqual([]);
    expect(await listeners(port)).toEqual([]);
    expect(existsSync(own("process.pid"))).toBe(false);
    expect(readFileSync(own("config.json"), "utf8")).toBe(config);
    expect(existsSync(own("models/deep/tiny.gguf"))).toBe(true);
  });
});

describe("refused", () => {
  let clone: Checkout;
  let stack: TestStack;
  let port: number;

  beforeAll(async () => {
    clone = checkout();
    port = await freePort();
    stack = testStack(clone, "chat-refused", sections(port));
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("O7: a port that somebody has, who is named and lives on", async () => {
    await using stranger = await startStranger(
      ["/usr/bin/python3", "-m", "http.server", String(port), "--bind", "127.0.0.1"],
      clone.base,
    );
    await until("the stranger to listen", async () => (await listeners(port)).length > 0);
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toContain(`services.app.port: expected port ${port} to be free, got process ${stranger.pid} (`);
    expect(isAlive(stranger)).toBe(true);
    expect(existsSync(stack.places.stackDir)).toBe(false);
  });

  it("O10: app.py moved away, with the file that was looked for", async () => {
    rmSync(join(clone.dir, APP, "app.py"));
    const { app } = sections(port).services;
    stack.write({ services: { app: { ...app, env: { HOST: "${self.listen}", PORT: "${self.port}" } } } });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toMatch(/can't open file '\S*\/chat-o-llama-\w+\/app\.py'/);
  });

  it("O10: without its requirements, with the directory that was looked at", async () => {
    rmSync(join(clone.dir, APP), { recursive: true });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(2);
    expect(up.output).toContain(`services.app.build: expected a directory with requirements.txt`);
    expect(up.output).toContain(`./${APP}`);
  });
});
