import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, pulumi, type Verb } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { stackFile, testStack, type TestStack } from "../support/test-stack.ts";

foreignersStayUntouched();

/** One of every mistake that people make, and what each line must say. */
const BAD = stackFile({
  settings: { portOfset: 1 },
  secrets: { plain: "hunter2" },
  services: {
    typo: { kind: "process", comand: ["sleep", "1"], command: ["sleep", "1"] },
    type: { kind: "process", command: "sleep 1" },
    range: { kind: "process", command: ["sleep", "1"], port: 70_000 },
    one: { kind: "process", command: ["sleep", "1"], port: 20_001 },
    two: { kind: "process", command: ["sleep", "1"], port: 20_001 },
    nobody: { kind: "process", command: ["sleep", "1"], env: { URL: "${nobody-there.url}" } },
    off: { kind: "process", command: ["sleep", "1"], port: 20_002, enabled: false },
    "needs-off": { kind: "process", command: ["sleep", "1"], env: { URL: "${off.url}" } },
    egg: { kind: "process", command: ["sleep", "1"], needs: ["hen"] },
    hen: { kind: "process", command: ["sleep", "1"], needs: ["egg"] },
    chat: { kind: "llama-server", model: "no-such-model", contextSize: 512 },
  },
});

const EXPECTED: readonly RegExp[] = [
  /^settings\.portOfset: .* got `portOfset`\. Fix: did you mean `portOffset`\? \[STACK_KEY\]$/,
  /^secrets\.plain: expected .*, got a text in clear.* Fix: pulumi config set --secret .* \[/,
  /^services\.typo\.comand: .* got `comand`\. Fix: did you mean `command`\? \[STACK_KEY\]$/,
  /^services\.type\.command: expected .*, got `"?sleep 1"?`\. Fix: /,
  /^services\.range\.port: expected .*65535.*, got `?70000`?\. Fix: /,
  /^services\.two\.port: expected .*, got .*20001.* Fix: /,
  /^services\.nobody\.env\.URL: expected another service of this stack .*, got `nobody-there`\. Fix: /,
  /^services\.needs-off\.env\.URL: expected an enabled service, got `off`.* Fix: set services\.off\.enabled to true, or write `\$\{off\.url\?\}`/,
  /^services\.(egg|hen): expected an order .*, got a cycle: .*egg → .*hen|hen → egg.* Fix: /,
  /^services\.chat\.model: expected a model of engineroom:models .*, got `no-such-model`\. Fix: /,
];

describe("a stack file with every mistake in it", () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeAll(() => {
    clone = checkout();
    stack = testStack(clone, "input", { services: {} });
    writeFileSync(stack.file, BAD);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  const problemLines = (output: string): readonly string[] =>
    output
      .split("\n")
      .flatMap((line) => (/^ +(settings|secrets|services|models)\S*: /.test(line) ? [line.trim()] : []));

  it.each<Verb>(["up", "preview", "destroy", "refresh"])(
    "%s says all of it at once, exit 2, and changes nothing",
    async (verb) => {
      const before = listing(clone);
      const { exitCode, output } = await engineroom.run(stack, verb);
      expect(exitCode, output).toBe(2);
      const lines = problemLines(output);
      for (const expected of EXPECTED)
        expect(
          lines.filter((line) => expected.test(line)),
          `${expected}\n${output}`,
        ).toHaveLength(1);
      expect(output).toContain(`Pulumi.${stack.name}.yaml has ${lines.length} problems:`);
      expect(output).not.toContain("hunter2");
      expect(output).not.toMatch(/^\s+at /m);
      expect(listing(clone)).toEqual(before);
      expect(readFileSync(stack.file, "utf8")).toBe(BAD);
    },
  );

  it("is refused by plain pulumi in the same words", async () => {
    const ours = problemLines((await engineroom.run(stack, "up")).output);
    const { exitCode, stdout: output } = await pulumi.run(stack, "up");
    expect(exitCode).not.toBe(0);
    expect(new Set(problemLines(output))).toEqual(new Set(ours));
    expect(output).not.toMatch(/^\s+at /m);
    expect(existsSync(stack.places.stackDir)).toBe(false);
  });

  it("a file that is no YAML", async () => {
    writeFileSync(stack.file, "config:\n  engineroom:services: { a: [\n");
    const before = listing(clone);
    const { exitCode, output } = await engineroom.run(stack, "up");
    expect(exitCode, output).toBe(2);
    expect(output).toMatch(/expected YAML with `config:` and its sections, got .* at line 3, column 1\. Fix: /);
    expect(listing(clone)).toEqual(before);
  });

  it("a stack that has no file", async () => {
    const { exitCode, output } = await stack.run(["./engineroom", "--stack", "locla", "up"]);
    expect(exitCode, output).toBe(2);
    expect(output).toContain("did you mean --stack local?");
  });

  it("a salt that does not fit: the line to delete, and then it works", async () => {
    const services = { quiet: { kind: "process", command: ["sleep", "100000"] } };
    const salt = "encryptionsalt: v1:2g5xlEZ9KOc=:v1:MIPtMzOYhDaVLK5W:Lfhk7AKqIdbQ1SCjSTZ5Ku3gLh8Jiw==\n";
    writeFileSync(stack.file, `${salt}${stackFile({ services })}`);
    const { exitCode, output } = await engineroom.run(stack, "preview");
    expect(exitCode, output).toBe(2);
    expect(output).toContain("encryptionsalt");
    expect(output).toContain("delete the line that begins with `encryptionsalt:`");
    writeFileSync(stack.file, stackFile({ services }));
    expect((await engineroom.run(stack, "preview")).exitCode).toBe(0);
  });

  it("words after the verb that nobody knows, and a question without a terminal", async () => {
    expect((await stack.run(["./engineroom", "upp"])).exitCode).toBe(2);
    const destroyed = await stack.run(["./engineroom", "--stack", stack.name, "destroy"]);
    expect(destroyed.exitCode, destroyed.output).toBe(2);
    expect(destroyed.output).toContain("Fix: add --yes");
  });
});

/** Every path below the state and runtime directories, with what a change would change. */
function listing({ env }: Checkout): readonly string[] {
  return [env["ENGINEROOM_STATE_HOME"], env["ENGINEROOM_RUNTIME_HOME"]].flatMap((root = "") =>
    existsSync(root)
      ? readdirSync(root, { recursive: true, encoding: "utf8" }).map((name) => {
          const { mode, size, mtimeMs, ino } = lstatSync(join(root, name));
          return `${name} ${mode} ${size} ${mtimeMs} ${ino}`;
        })
      : [],
  );
}
