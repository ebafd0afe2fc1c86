import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom } from "../support/driver.ts";
import { exported } from "../support/exported.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";

// What a service gets from its file of variables, and who else sees it: nobody.

foreignersStayUntouched();

const CANARY = `kanarie-${process.pid}`;
const WRITES = 'import os; open(os.environ["SEEN"], "w").write(os.environ["TOKEN"] + " " + os.environ["MODE"])';

let clone: Checkout;
let stack: TestStack;
const own = (name: string): string => join(clone.base, "own", name);
const seen = (): string => readFileSync(own("seen"), "utf8");

beforeAll(() => {
  clone = checkout();
  mkdirSync(own(""));
  chmodSync(own(""), 0o777);
  stack = testStack(clone, "env-file", {
    services: {
      writes: {
        kind: "job",
        command: ["python3", "-c", WRITES],
        envFile: own("app.env"),
        env: { SEEN: own("seen"), MODE: "own" },
      },
    },
  });
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  clone[Symbol.dispose]();
});

it("a file that is not there, or has a bad line, is named before anything starts", async () => {
  const missing = await engineroom.run(stack, "up");
  expect([missing.exitCode, missing.output]).toEqual([2, expect.stringContaining("there is no such file")]);
  writeFileSync(own("app.env"), `TOKEN="${CANARY} ${CANARY}`);
  const bad = await engineroom.run(stack, "up");
  expect([bad.exitCode, bad.output]).toEqual([2, expect.stringContaining("app.env`: line 1 is no variable")]);
  expect(bad.output).not.toContain(CANARY);
});

it("its variables reach the program, where env wins, and nobody else", async () => {
  writeFileSync(own("app.env"), `# ours\nexport TOKEN="${CANARY}"\nMODE=filed\n`);
  const up = await engineroom.run(stack, "up");
  expect(up.exitCode, up.output).toBe(0);
  expect(seen()).toBe(`${CANARY} own`);
  const shown = await stack.run(["./engineroom", "--stack", stack.name, "plan", "--json"]);
  expect(
    [up.output, shown.output, JSON.stringify(await exported(stack))].filter((text) => text.includes(CANARY)),
  ).toEqual([]);
});

it("another value is another start; the same one is none", async () => {
  const same = await engineroom.run(stack, "up", "--expect-no-changes");
  expect(same.exitCode, same.output).toBe(0);
  writeFileSync(own("app.env"), "TOKEN=another\n");
  const up = await engineroom.run(stack, "up");
  expect(up.exitCode, up.output).toBe(0);
  expect(seen()).toBe("another own");
});
