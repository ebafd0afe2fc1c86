import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { modelWaitFile } from "#observe/model-wait.ts";
import { SMALL_MODEL } from "#stack/small-model.ts";
import { changed } from "../support/change.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, start } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { testStack, type Ended, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

// Pulumi.compute-gpu.yaml as it stands, but for ports and places, with the sample applications and the small model.
// Does not prove: anything about a GPU, nor that the declared model itself loads.

foreignersStayUntouched();

describe("stack compute-gpu", () => {
  let clone: Checkout;
  let stack: TestStack;
  let sections: Sections;
  let declared: string;
  const ports = { broker: 0, fastapi: 0, llama: 0 };

  beforeAll(async () => {
    clone = checkout();
    mkdirSync(join(clone.base, "models"));
    for (const name of ["broker", "fastapi", "llama"] as const) ports[name] = await freePort();
    sections = sectionsIn(clone, ports);
    declared = join(clone.base, "models", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf");
    stack = testStack(clone, "compute-gpu", sections);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  const api = (path: string) => `http://127.0.0.1:${ports.fastapi}${path}`;
  const command = (...args: readonly string[]): Promise<Ended> =>
    stack.run(["./engineroom", "--stack", stack.name, ...args]);

  async function states(): Promise<Readonly<Record<string, string>>> {
    const { stdout } = await command("status", "--json");
    const { services } = JSON.parse(stdout) as {
      readonly services: readonly { name: string; state: string; reason: string | null }[];
    };
    return Object.fromEntries(
      services.map(({ name, state, reason }) => [name, [state, reason ?? ""].join(" ").trim()]),
    );
  }

  describe("before it is up", () => {
    const model = (): string => join(clone.base, "cache", "models", SMALL_MODEL.file);
    // A file that was written just now may still be growing, and is waited for.
    const old = (make: () => void) => () => {
      make();
      utimesSync(declared, 1, 1);
    };
    const damages: readonly (readonly [what: string, make: () => void, words: RegExp])[] = [
      ["an empty model", old(() => writeFileSync(declared, "")), /is no whole model: it is empty/],
      ["a directory of that name", () => mkdirSync(declared), /expected a regular file, got a directory/],
      [
        "a model cut to 90 %",
        old(() => {
          copyFileSync(model(), declared);
          truncateSync(declared, 227_801_721);
        }),
        /is cut off: its tensors need 253113024 bytes, the file has 227801721/,
      ],
    ];
    it.each(damages)("%s is refused in its own words", async (_what, make, words) => {
      make();
      const { exitCode, output } = await engineroom.run(stack, "up");
      rmSync(declared, { recursive: true });
      expect(exitCode, output).toBe(1);
      expect(output).toMatch(words);
      expect(output).toContain(declared);
      expect(stack.processes()).toEqual([]);
    });

    it("a flag that the build does not have is refused, with the nearest one", async () => {
      stack.write(changed(sections, ["services", "llama", "args"], ["--no-warmpu"]));
      const { exitCode, output } = await engineroom.run(stack, "preview");
      expect(exitCode, output).toBe(1);
      expect(output).toMatch(
        /services\.llama\.args: expected a flag that llama-server \S+ has, got `--no-warmpu`\. Fix: did you mean `--no-warmup`\? \[FLAG_UNKNOWN\]/,
      );
    });

    it("a foreign listener on the model server's port is named and lives, and nothing is started", async () => {
      stack.write(sections);
      const stranger = createServer((_request, response) => response.end("mine")).listen(ports.llama, "127.0.0.1");
      try {
        const { exitCode, output } = await engineroom.run(stack, "up");
        expect(exitCode, output).toBe(1);
        expect(output).toContain(`expected port ${ports.llama} to be free, got process ${process.pid}`);
        expect(await (await fetch(`http://127.0.0.1:${ports.llama}`)).text()).toBe("mine");
      } finally {
        stranger.closeAllConnections();
        stranger.close();
      }
      expect(stack.processes()).toEqual([]);
    });
  });

  it("a model that does not come in time ends up with its path and the wait; the other two run on", async () => {
    stack.write(changed(sections, ["models", "llama-8b", "waitTimeout"], "5s"));
    // A link to nothing is no model yet, either.
    symlinkSync(join(clone.base, "nowhere"), declared);
    const { exitCode, output } = await engineroom.run(stack, "up");
    rmSync(declared);
    expect(exitCode, output).toBe(1);
    expect(output).toContain(`${declared} is a link to ${join(clone.base, "nowhere")}, which does not exist`);
    expect(output).toContain("`waitTimeout` is 5 s");
    expect(await states()).toMatchObject({ broker: "ready", fastapi: "ready", "worker-gpu": "ready" });
    expect((await states())["llama"]).toMatch(/^missing/);
  });

  it("a late model is waited for with the seconds left, and served once it is renamed into place", async () => {
    stack.write(sections);
    const before = await stack.running();
    await using up = await start(engineroom, stack, "up");
    const seen = await until("llama to wait", async () => {
      const { llama = "" } = await states();
      return llama.startsWith("waiting") && llama;
    });
    expect(seen).toMatch(/Q4_K_M\.gguf does not exist; waiting for it \(\d+ s left\)$/);
    place(join(clone.base, "cache", "models", SMALL_MODEL.file), declared);
    const { exitCode, output, seconds } = await up.ended;
    expect(exitCode, output).toBe(0);
    expect(seconds).toBeGreaterThan(0);
    const { llama, ...others } = await states();
    expect(others).toEqual({ broker: "ready", fastapi: "ready", "worker-gpu": "ready" });
    expect(llama).toMatch(/^(ready|degraded)/);
    const { llama: _llama, ...after } = await stack.running();
    expect(after).toEqual(before);
    expect(existsSync(modelWaitFile(stack.places, "llama"))).toBe(false);
  });

  it("is up: both addresses answer, and a second up changes nothing", async () => {
    const before = await stack.running();
    expect(Object.keys(before).sort()).toEqual(["broker", "fastapi", "llama", "worker-gpu"]);
    const health = await fetch(api("/health"));
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: "ok", dependencies: { queue: "ok", llama: "ok" } },
    ]);
    expect((await fetch(`http://127.0.0.1:${ports.llama}/health`)).status).toBe(200);
    const again = await engineroom.run(stack, "up", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect(await stack.running()).toEqual(before);
  });

  it("runs on the small model instead, by one line; llama alone starts anew", async () => {
    const before = await stack.running();
    const text = readFileSync(stack.file, "utf8");
    const asked = await command("models", "use", "small");
    expect([asked.exitCode, readFileSync(stack.file, "utf8")]).toEqual([2, text]);
    const used = await command("models", "use", "small", "--yes");
    expect([used.exitCode, used.stdout]).toEqual([0, "@@ line 3 @@\n+    models: small"]);
    const again = await command("models", "use", "small", "--yes");
    expect([again.exitCode, again.stdout]).toEqual([0, ""]);
    expect(again.output).toContain("nothing to change");
    rmSync(declared);

    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const after = await stack.running();
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["llama"]);
    const models = (await (await fetch(`http://127.0.0.1:${ports.llama}/v1/models`)).json()) as {
      readonly data: readonly { readonly id: string }[];
    };
    expect(models.data.map(({ id }) => id)).toEqual(["llama-8b"]);
    const small = readFileSync(stack.file, "utf8");
    expect((await command("models", "use", "declared", "--yes")).exitCode).toBe(0);
    expect(readFileSync(stack.file, "utf8")).toBe(text);
    writeFileSync(stack.file, small);
  });

  it("a generate task is done by the worker of the queue with its suffix", async () => {
    const id = await task({ kind: "generate", prompt: "What is a tide?" });
    const done = await until("the task to end", async () => {
      const found = await taskOf(id);
      return ["done", "failed"].includes(found["state"] ?? "") && found;
    });
    expect(done).toMatchObject({ state: "done", device: "cpu", worker: expect.stringMatching(/-\d+@gpu$/) as string });
    expect(done["result"]).toMatch(/\w/);
  });

  it("every service does its unit of work, and what cannot be done says why", async () => {
    const check = await command("check", "--json");
    expect(check.exitCode, check.output).toBe(0);
    const { services } = JSON.parse(check.stdout) as { readonly services: readonly { name: string; detail: string }[] };
    const details = Object.fromEntries(services.map(({ name, detail }) => [name, detail]));
    expect(details["llama"]).toMatch(/generated a token with llama-8b/);
    expect(details["worker-gpu"]).toMatch(/exit code 0/);
    const id = await task({ kind: "transcribe", audio: "/nowhere.wav" });
    const failed = await until("the task to end", async () => {
      const found = await taskOf(id);
      return found["state"] === "failed" && found;
    });
    expect(failed["reason"]).toMatch(/faster-whisper is not installed/);
  });

  it.skipIf(!withoutGpu)(
    "without a GPU llama is told to run on the CPU, and refused where it must have one",
    async () => {
      expect((await states())["llama"]).toMatch(/^degraded it runs on the CPU/);
      const text = readFileSync(stack.file, "utf8");
      stack.write(changed(sections, ["services", "llama", "gpu"], { count: 1 }));
      const { exitCode, output } = await engineroom.run(stack, "preview");
      writeFileSync(stack.file, text);
      expect(exitCode, output).toBe(1);
      expect(output).toMatch(/services\.llama\.gpu: expected .* \[GPU_MISSING\]/);
    },
  );

  it("a wrong queue suffix is told with the right one; corrected, only the worker starts anew", async () => {
    const before = await stack.running();
    const small = { ...sections, settings: { ...sections.settings, models: "small" } };
    const wrong = changed(small, ["services", "worker-gpu"], (worker: unknown) => ({
      ...(worker as { readonly ready: object }),
      queue: "tasks@cpu",
      ready: { ...(worker as { readonly ready: object }).ready, timeout: "3s" },
    }));
    stack.write(wrong);
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(1);
    expect(up.output).toContain("registered on tasks@cpu, expected tasks@gpu");
    stack.write(small);
    const corrected = await engineroom.run(stack, "up");
    expect(corrected.exitCode, corrected.output).toBe(0);
    const after = await stack.running();
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["worker-gpu"]);
  });

  it("leaves nothing behind but logs and data, also when it is destroyed twice", async () => {
    const logs = readdirSync(join(clone.base, "log"));
    for (const name of ["fastapi", "llama", "worker-gpu"])
      expect(logs).toEqual(expect.arrayContaining([`${name}.err`, `${name}.log`]));
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
    const again = await engineroom.run(stack, "destroy");
    expect(again.exitCode, again.output).toBe(0);
    expect(readdirSync(join(clone.base, "log"))).toEqual(logs);
    expect(existsSync(join(stack.places.stateDir, "waits"))).toBe(false);
    expect(statSync(join(clone.base, "cache", "models", SMALL_MODEL.file)).isFile()).toBe(true);
    await expect(fetch(api("/health"))).rejects.toThrow();
  });

  async function task(body: object): Promise<string> {
    const response = await fetch(api("/tasks"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(202);
    return ((await response.json()) as { readonly id: string }).id;
  }

  const taskOf = async (id: string) =>
    (await (await fetch(api(`/tasks/${id}`))).json()) as Readonly<Record<string, string | null>>;
});

/** Says nothing about a GPU whose driver is not loaded: there llama runs on the CPU, too. */
const withoutGpu = !existsSync("/usr/bin/nvidia-smi");

type Services = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function sectionsIn({ base }: Checkout, ports: Readonly<Record<string, number>>): Sections {
  const text = readFileSync(join(dirname(dirname(import.meta.dirname)), "Pulumi.compute-gpu.yaml"), "utf8");
  const { config } = parse(text) as { readonly config: Readonly<Record<string, Services>> };
  const services = Object.entries(config["engineroom:services"] ?? {}).map(([name, service]) => [
    name,
    {
      ...service,
      ...(ports[name] !== undefined && { port: ports[name] }),
      ...Object.fromEntries(
        Object.entries(service)
          .filter(([key]) => key === "logFile" || key === "errorLog")
          .map(([key, path]) => [key, String(path).replace("/var/log/compute-gpu", join(base, "log"))]),
      ),
    },
  ]);
  return {
    settings: { ...config["engineroom:settings"], modelsDir: join(base, "models"), data: "disposable" },
    models: config["engineroom:models"] ?? {},
    services: Object.fromEntries(services) as Record<string, object>,
  };
}

/** As a careful sync does it: the whole file under another name, then renamed. */
function place(from: string, to: string): void {
  try {
    linkSync(from, `${to}.incoming`);
  } catch {
    copyFileSync(from, `${to}.incoming`);
  }
  renameSync(`${to}.incoming`, to);
}
