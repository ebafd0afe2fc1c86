import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { imageOf, programsIn } from "../support/light.ts";
import { freePort } from "../support/ports.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";

foreignersStayUntouched();

describeWithDocker("the policy pack", () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeAll(async () => {
    clone = checkout();
    stack = testStack(clone, "policed", {
      settings: { in: "container" },
      services: {
        edge: { kind: "nginx", port: await freePort(), address: "0.0.0.0" },
        quiet: { kind: "process", ...programsIn("container"), memory: "1GiB", command: ["sleep", "100000"] },
        // It is there under this name too, and a tag is all that it says.
        loose: { kind: "process", ...programsIn("container"), image: "registry.invalid/me/app:1", command: ["true"] },
      },
    });
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  const preview = (...words: readonly string[]) =>
    engineroom.run(stack, "preview", "--policy-pack", "policy", ...words);

  function configured(rules: object): readonly string[] {
    const file = join(clone.base, "rules.json");
    writeFileSync(file, JSON.stringify(rules));
    return ["--policy-pack-config", file];
  }

  it("refuses an nginx that is open to the network, and only advises about an image without a digest", async () => {
    const { exitCode, output } = await preview();
    expect(exitCode, output).toBe(1);
    expect(output).toContain(`${stack.name}-edge: expected port`);
    expect(output.match(/\[mandatory\] +\S+/g)).toEqual(["[mandatory]  closed-network"]);
    expect(output.match(/\[advisory\] +\S+/g)).toEqual(["[advisory]  image-by-digest"]);
    expect(output).toContain("expected an image with its digest, got registry.invalid/me/app:1.");
    expect(output).not.toContain(`got ${imageOf("python")}`);
  });

  it("lets it pass where the rules say so", async () => {
    const { exitCode, output } = await preview(...configured({ "closed-network": { allow: ["edge"] } }));
    expect(exitCode, output).toBe(0);
  });

  it("holds a budget of memory where one is set", async () => {
    const rules = { "closed-network": "disabled", "memory-budget": { enforcementLevel: "mandatory", maxGiB: 0.5 } };
    const { exitCode, output } = await preview(...configured(rules));
    expect(exitCode, output).toBe(1);
    expect(output).toMatch(/expected limits of at most 0\.5 GiB together, got \d\.\d \(largest: .*-quiet 1\.0/);
  });
});
