import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hostPlaces } from "#stack/places.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { noDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { programsIn } from "../support/light.ts";
import { describeWithOllama, noOllama } from "../support/ollama.ts";
import { freePort } from "../support/ports.ts";
import { describeCases, itWhere, runtimes, type Runtime } from "../support/runtimes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";

// A real Ollama with the small model of this repository. Does not prove anything about pulls, which
// tests/integration/checks/ollama.test.ts does, or about a GPU.

foreignersStayUntouched();

const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);

/** `user` has Ollama's address, and so waits for its model. */
const sections = (runtime: Runtime, port: number, models: readonly unknown[]): Sections => ({
  settings: { in: runtime, data: "disposable" },
  models: { gemma: { file: join(cacheDir, "models", "gemma-3-270m-q4_k_m.gguf") } },
  services: {
    llm: { kind: "ollama", port, contextLength: 256, models },
    user: { kind: "process", ...programsIn(runtime), command: ["sleep", "100000"], env: { LLM: "${llm.url}" } },
  },
});
const GEMMA = [{ from: "gemma" }];

const ofRuntime = noOllama === undefined ? runtimes : [];
if (noOllama !== undefined) describeWithOllama("a stack with Ollama", () => it("is not tried", () => undefined));

describeCases(
  ofRuntime.map((runtime) => ({ runtime })),
  "a stack with Ollama: $runtime",
  ({ runtime }) => {
    let clone: Checkout;
    let stack: TestStack;
    let port: number;
    beforeAll(async () => {
      clone = checkout();
      port = await freePort();
      stack = testStack(clone, `ollama-${runtime}`, sections(runtime, port, GEMMA));
    });
    afterAll(async () => {
      await stack[Symbol.asyncDispose]();
      clone[Symbol.dispose]();
    });

    const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
    const names = async () => {
      const { models } = (await (await ask("/api/tags")).json()) as { readonly models: readonly { name: string }[] };
      return models.map(({ name }) => name).sort();
    };

    it("comes up with its model, in order, and the next up changes nothing", async () => {
      const up = await engineroom.run(stack, "up");
      expect(up.exitCode, up.output).toBe(0);
      expect(await names()).toEqual(["gemma:latest"]);
      const order = ["llm-model-gemma:latest created", "llm-ready created", "user-(process|container) created"];
      expect(up.output).toMatch(new RegExp(order.join("[^]*")));
      const running = await stack.running();
      const again = await engineroom.run(stack, "up");
      expect(again.output).toMatch(/\d+ unchanged/);
      expect(again.output).not.toMatch(/updated|created|replaced|deleted/);
      expect(await stack.running()).toEqual(running);
    });

    it("says of a model that is gone that it is, and brings it again, with the server left alone", async () => {
      const running = await stack.running();
      await ask("/api/delete", { method: "DELETE", body: JSON.stringify({ model: "gemma" }) });
      const check = await stack.run(["./engineroom", "--stack", stack.name, "check", "llm"]);
      expect([check.exitCode, check.stdout]).toEqual([1, expect.stringContaining("does not have gemma:latest")]);
      const preview = await pulumi.run(stack, "preview");
      expect(preview.output).toContain("llm: model gemma:latest: the server does not have it; up brings it");
      expect(preview.output).toMatch(/~ 2 to update/);
      const up = await pulumi.run(stack, "up");
      expect(up.exitCode, up.output).toBe(0);
      expect(await names()).toEqual(["gemma:latest"]);
      expect(await stack.running()).toEqual(running);
      const clean = await pulumi.run(stack, "preview", "--expect-no-changes");
      expect(clean.exitCode, clean.output).toBe(0);
    });

    it("brings another model, and removes one that leaves the list, with the server left alone", async () => {
      const running = await stack.running();
      stack.write(sections(runtime, port, [{ from: "gemma", name: "brief", system: "Be brief." }]));
      const up = await engineroom.run(stack, "up");
      expect(up.exitCode, up.output).toBe(0);
      expect(await stack.running()).toEqual(running);
      expect(await names()).toEqual(["brief:latest"]);
    });

    itWhere(runtime === "host")(
      "is whole again after its server was killed, without a second one of its models",
      async () => {
        const before = await stack.pids();
        const token = await ask("/api/generate", {
          method: "POST",
          body: JSON.stringify({ model: "brief", prompt: "1", options: { num_predict: 1 } }),
        });
        await token.text();
        const runners = () => stack.processes().filter(({ argv }) => argv.includes("runner"));
        const [first] = runners();
        expect(first).toBeDefined();
        process.kill(before["llm"]!.pid, "SIGKILL");
        await expect
          .poll(async () => (await stack.pids())["llm"]?.pid, { timeout: 30_000 })
          .not.toBe(before["llm"]!.pid);
        await expect.poll(async () => (await ask("/api/version")).status, { timeout: 30_000 }).toBe(200);
        expect(runners().map(({ pid }) => pid)).not.toContain(first?.pid);
      },
    );

    it("is gone after destroy", async () => {
      const destroyed = await engineroom.run(stack, "destroy");
      expect(destroyed.exitCode, destroyed.output).toBe(0);
      expect(stack.processes()).toEqual([]);
      if (noDocker === undefined) expect(Object.values(await stack.holdings()).flat()).toEqual([]);
    });
  },
);
