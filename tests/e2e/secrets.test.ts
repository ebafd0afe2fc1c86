import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, preparedPulumi, pulumiCommand } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { programsIn } from "../support/light.ts";
import { localChain, type Chain } from "../support/local-chain.ts";
import { watchProcesses, type Process } from "../support/processes.ts";
import { describeCases, runtimes } from "../support/runtimes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { filesThatHold, toldByEngine } from "../support/told.ts";

// Does not prove: that an application keeps its own secret out of its own log.

/** What breaks whoever forgets to quote; the word in its midst survives every encoding that is not a cipher. */
const canary = (word: string): string => `p%s "${marked(word)}' $x\`\\é`;

/** Another run of these tests at the same time has other words. */
const marked = (word: string): string => `${word}${process.pid}`;

/** Every way in which the secret could show; the word alone finds ways that nobody thought of. */
const forms = (word: string): readonly string[] => [
  marked(word),
  canary(word),
  encodeURIComponent(canary(word)),
  JSON.stringify(canary(word)).slice(1, -1),
];

const shows = (text: string, word: string): boolean => forms(word).some((form) => text.includes(form));

/** Files that may hold it, all below directories that nobody else may enter. */
const HOLDERS = {
  host: [
    "stacks/STACK/services/api/launch.json",
    "stacks/STACK/services/db/launch.json",
    "stacks/STACK/services/db/password",
    "stacks/STACK/services/db/role.sql",
    "stacks/STACK/services/migrate/launch.json",
    "stacks/STACK/services/worker/launch.json",
  ],
  container: [
    ...["files/env.sh", "launch.json"].map((name) => `containers/STACK/api/private/${name}`),
    ...["files/password", "files/role.sql", "launch.json"].map((name) => `containers/STACK/db/private/${name}`),
    ...["files/env.sh", "launch.json"].map((name) => `containers/STACK/migrate/private/${name}`),
    ...["files/env.sh", "launch.json"].map((name) => `containers/STACK/worker/private/${name}`),
  ],
};

/** Services whose DATABASE_URL holds the password. */
const OWNERS = ["migrate", "api", "worker"].map((name) => `ENGINEROOM_SERVICE=${name}`);

foreignersStayUntouched();

const cases = runtimes.map((runtime) => ({ runtime }));

describeCases(cases, "a password that needs quoting everywhere, in: $runtime", ({ runtime }) => {
  let clone: Checkout;
  let chain: Chain;
  let stack: TestStack;

  beforeAll(async () => {
    clone = checkout();
    chain = await localChain(runtime);
    stack = testStack(clone, "secrets", chain.sections);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  /** Brings the stack up and works with it; gives everything that was said and every process that was seen. */
  async function upAndUse(): Promise<{ readonly said: string; readonly seen: readonly Process[] }> {
    await using watch = watchProcesses();
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const health = await fetch(`${chain.url}/api/health`);
    expect(health.status, await health.text()).toBe(200);
    const asked = await fetch(`${chain.url}/api/questions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "Who are you?" }),
    });
    expect(asked.status).toBe(202);
    const commands = [
      ["./engineroom", "--stack", stack.name, "status", "--json"],
      ["./engineroom", "--stack", stack.name, "check", "--json"],
      ["./engineroom", "--stack", stack.name, "plan"],
    ];
    const said = [up.output];
    for (const command of commands) said.push((await stack.run(command)).output);
    said.push((await pulumiCommand(stack, "preview", "--json")).output);
    said.push((await pulumiCommand(stack, "stack", "export")).output);
    expect(Object.keys(await stack.containers())).toHaveLength(runtime === "host" ? 0 : 8);
    said.push(...(await toldByEngine(stack)));
    expect(watch.looks).toBeGreaterThan(20);
    return { said: said.join("\n"), seen: watch.seen() };
  }

  function staysSecret(word: string, { said, seen }: Awaited<ReturnType<typeof upAndUse>>): void {
    expect(shows(said, word), "in what commands said").toBe(false);
    expect(seen.filter(({ argv }) => shows(argv, word)).map(({ argv }) => argv)).toEqual([]);
    const holders = seen.filter(({ env }) => env.some((variable) => shows(variable, word)));
    expect(holders.length).toBeGreaterThan(0);
    expect(holders.filter(({ env }) => !OWNERS.some((owner) => env.includes(owner))).map(describeHolder(word))).toEqual(
      [],
    );
    expect(filesThatShow(clone.base, word)).toEqual(HOLDERS[runtime].map((path) => path.replace("STACK", stack.name)));
  }

  const withPassword = (secrets: Readonly<Record<string, unknown>>): Sections => {
    const { services } = chain.sections;
    return {
      ...chain.sections,
      secrets,
      services: { ...services, db: { ...services["db"], password: "${secret.db}" } },
    };
  };

  it("works from a file, and shows nowhere but where it belongs", async () => {
    const file = join(clone.base, "brought-secret");
    writeFileSync(file, `${canary("kanarienvogel")}\n`, { mode: 0o600 });
    stack.write(withPassword({ db: { file } }));
    const used = await upAndUse();
    writeFileSync(file, "");
    staysSecret("kanarienvogel", used);
  });

  it("is left out of the log lines that an error quotes", async () => {
    const file = join(clone.base, "brought-secret");
    writeFileSync(file, `${canary("rotkehlchen")}\n`, { mode: 0o600 });
    const leak = 'echo "plain $LEAK" "again $URL"; exit 3';
    const env = { LEAK: "${secret.db}", URL: "http://${secret.db}@there" };
    await using leaky = testStack(clone, "leaky", {
      settings: { in: runtime },
      secrets: { db: { file } },
      services: {
        service: { kind: "process", restart: "no", ...programsIn(runtime), env, command: ["sh", "-c", leak] },
        task: { kind: "job", ...programsIn(runtime), env, command: ["sh", "-c", leak] },
      },
    });
    const up = await engineroom.run(leaky, "up");
    writeFileSync(file, "");
    expect(up.exitCode).toBe(1);
    expect(up.output.match(/plain \(secret\) again http:\/\/\(secret\)@there/g)?.length).toBeGreaterThanOrEqual(2);
    expect(shows(up.output, "rotkehlchen"), up.output).toBe(false);
  });

  it("works encrypted in the stack file, in place of the other one", async () => {
    stack.write(withPassword({}));
    const set = ["config", "set", "--secret", "--path", "engineroom:secrets.db"];
    const ended = await stack.run(preparedPulumi(stack, ...set), { stdin: "pipe", input: canary("zaunkoenig") });
    expect(ended.exitCode, ended.output).toBe(0);
    const used = await upAndUse();
    // Pulumi itself hands the program its configuration in a variable, decrypted.
    const others = used.seen.filter(({ env }) => !env.some((variable) => variable.startsWith("PULUMI_CONFIG=")));
    staysSecret("zaunkoenig", { ...used, seen: others });
    expect(filesThatShow(clone.base, "kanarienvogel")).toEqual([]);
  });
});

const describeHolder =
  (word: string) =>
  ({ argv, env }: Process): string =>
    `${argv}: ${env.flatMap((variable) => (shows(variable, word) ? [variable.split("=")[0]] : [])).join(", ")}`;

/** Files of the test that hold the secret in any form. */
const filesThatShow = (base: string, word: string): readonly string[] =>
  filesThatHold(base, (content) => forms(word).some((form) => content.includes(form)));
