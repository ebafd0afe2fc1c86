import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { lookAtGpus } from "#observe/gpu.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { noDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { modelFile } from "../support/servers.ts";
import { testStack, type Ended, type Sections, type TestStack } from "../support/test-stack.ts";

// For real, on a machine without a card. What a card itself does is not proven here, nor anywhere yet.

foreignersStayUntouched();

const look = await lookAtGpus();
const none = look.state === "none" ? `none: ${look.reason} (${look.detail})` : "";

/** Pulumi.gpu.yaml as it stands. */
function gpuSections(): Sections {
  const text = readFileSync(join(dirname(dirname(import.meta.dirname)), "Pulumi.gpu.yaml"), "utf8");
  const { config } = parse(text) as { readonly config: Readonly<Record<string, object>> };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("engineroom:", ""), value]),
  ) as unknown as Sections;
}

describe.skipIf(look.state === "seen")(`a machine without a GPU (${none || "this one has one"})`, () => {
  let clone: Checkout;
  const stacks: TestStack[] = [];
  const stackOf = (purpose: string, sections: Sections): TestStack => {
    const stack = testStack(clone, purpose, sections);
    stacks.push(stack);
    return stack;
  };
  beforeAll(() => {
    clone = checkout();
  });
  afterAll(async () => {
    for (const stack of stacks) await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  const refusal = (service: string): string =>
    `services.${service}.gpu: expected GPU 0 of this host, got ${none}. Fix: `;
  const left = async (stack: TestStack) => [
    stack.processes(),
    await stack.containers(),
    existsSync(stack.places.stackDir),
  ];

  it("refuses Pulumi.gpu.yaml, in preview and up: with the reason, before anything is fetched or started", async () => {
    const stack = stackOf("gpu", gpuSections());
    const ended: readonly Ended[] = [await engineroom.run(stack, "preview"), await engineroom.run(stack, "up")];
    for (const { exitCode, output } of ended) {
      expect(exitCode, output).toBe(1);
      expect(output).toContain(`The world around stack ${stack.name} has 2 problems:`);
      expect(output).toContain(refusal("chat"));
      expect(output).toContain(refusal("ollama"));
      expect(output).toContain("[GPU_MISSING]");
      expect(output).not.toContain("SETUP");
    }
    expect(await left(stack)).toEqual([[], {}, false]);
  });

  const models = { gemma: { file: modelFile } };
  const chat = (port: number, required: boolean) => ({
    chat: { kind: "llama-server", model: "gemma", contextSize: 256, threads: 2, port, gpu: { count: 1, required } },
  });

  it("is refused by plain pulumi, too", async () => {
    const stack = stackOf("gpu-plain", { models, services: chat(await freePort(), true) });
    const { exitCode, output } = await pulumi.run(stack, "up");
    expect(exitCode, output).not.toBe(0);
    expect(output).toContain(refusal("chat"));
    expect(await left(stack)).toEqual([[], {}, false]);
  });

  const places = noDocker === undefined ? ["host", "container"] : ["host"];
  it.each(places)("runs on the CPU what may do so, says so, and calls it degraded: %s", async (place) => {
    const settings = { in: place, data: "disposable" };
    const stack = stackOf(`gpu-${place}`, { settings, models, services: chat(await freePort(), false) });
    const { exitCode, output } = await engineroom.run(stack, "up");
    expect(exitCode, output).toBe(0);
    expect(output).toContain(`chat: runs on the CPU; it asks for GPU 0, and there is ${none}`);
    const cpu = "it runs on the CPU: none of the memory that it took is a GPU's";
    expect(output).toContain(`chat: ${cpu}`);
    const { stdout } = await stack.run(["./engineroom", "--stack", stack.name, "status", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ ready: true, services: [{ state: "degraded", reason: cpu }] });
    const again = await engineroom.run(stack, "up");
    expect(again.output).toMatch(/Resources:\n +\d+ unchanged/);
    expect((await engineroom.run(stack, "destroy")).exitCode).toBe(0);
    expect([stack.processes(), await stack.containers()]).toEqual([[], {}]);
  });
});
