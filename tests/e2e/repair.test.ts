import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { programStates } from "#observe/supervisord.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { drivers } from "../support/driver.ts";
import { engine, NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { lightSections, withService, type Light } from "../support/light.ts";
import { isAlive, signal } from "../support/processes.ts";
import { restartAll } from "../support/reboot.ts";
import { describeCases, itWhere, runtimes } from "../support/runtimes.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

const cases = drivers.flatMap((driver) => runtimes.map((runtime) => ({ driver, runtime })));

foreignersStayUntouched();

describeCases(cases, "repair by $driver.name, in: $runtime", ({ driver, runtime }) => {
  let clone: Checkout;
  let light: Light;
  let stack: TestStack;

  beforeAll(async () => {
    clone = checkout();
    light = await lightSections(runtime);
    stack = testStack(clone, "repair", light);
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function kill(service: keyof Light["services"]): Promise<void> {
    if (runtime === "container") {
      await engine({ method: "POST", path: `/containers/${stack.name}-${service}/kill` });
      return;
    }
    const { [service]: pid } = await stack.pids();
    signal(pid!, "SIGKILL");
    await until("supervisord to notice", async () => (await stateOf(stack, service)) === "EXITED");
  }

  /** Which services the preview would do something to, and all that it says. */
  async function preview(): Promise<{ readonly changed: readonly string[]; readonly output: string }> {
    const { exitCode, output } = await driver.run(stack, "preview");
    expect(exitCode, output).toBe(0);
    const changes = output.matchAll(
      /^ *(?:~|\+|-|\+-) +(?:command:local:Command|docker:index:\w+) ([\w-]+?)(?:-process|-run|-container)? (?!$)/gm,
    );
    return { changed: [...new Set([...changes].flatMap(([, name]) => name ?? []))].sort(), output };
  }

  async function upRepairs(): Promise<void> {
    const up = await driver.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await driver.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  }

  it("starts a killed service again, and only that one", async () => {
    const before = await stack.running();
    await kill("page");

    const { changed, output } = await preview();
    expect(changed).toEqual(["page"]);
    expect(output).toMatch(WORDS[runtime].killed);

    await upRepairs();
    const { page, ...others } = await stack.running();
    expect(page).toBeDefined();
    expect({ page: before["page"], ...others }).toEqual(before);
  });

  const onHost = itWhere(runtime === "host");

  onHost("starts all services again after supervisord was killed, and leaves no second copies", async () => {
    const [before, supervisor] = [await stack.pids(), await stack.supervisor()];
    signal(supervisor, "SIGKILL");
    await until("supervisord to end", () => !isAlive(supervisor));
    expect(Object.values(before).filter((one) => !isAlive(one))).toEqual([]);

    const { changed, output } = await preview();
    expect(changed).toEqual(["base", "page", "side", "supervisor"]);
    expect(output).toContain("page: supervisord is down;");

    await upRepairs();
    expect(Object.values(before).filter(isAlive)).toEqual([]);
    const after = { ...(await stack.pids()), supervisor: await stack.supervisor() };
    expect(Object.keys(after).sort()).toEqual(["base", "page", "side", "supervisor"]);
    expect(pidsOf(stack.processes())).toEqual(pidsOf(Object.values(after)));
  });

  onHost("starts all services again after the stack's directory was removed, and leaves no second copies", async () => {
    const before = { ...(await stack.pids()), supervisor: await stack.supervisor() };
    rmSync(stack.places.stackDir, { recursive: true });
    expect(Object.values(before).filter((one) => !isAlive(one))).toEqual([]);

    expect((await preview()).changed).toEqual(["base", "once", "page", "side", "supervisor"]);

    await upRepairs();
    expect(Object.values(before).filter(isAlive)).toEqual([]);
    const after = { ...(await stack.pids()), supervisor: await stack.supervisor() };
    expect(Object.keys(after).sort()).toEqual(["base", "page", "side", "supervisor"]);
    expect(pidsOf(stack.processes())).toEqual(pidsOf(Object.values(after)));
  });

  onHost("puts an edited program file right, and restarts only its service", async () => {
    const before = await stack.pids();
    appendFileSync(join(stack.places.stackDir, "programs", "side.conf"), "environment=A=1\n");

    const { changed, output } = await preview();
    expect(changed).toEqual(["side"]);
    expect(output).toMatch(/side: edited by hand: \S+programs\/side\.conf;/);

    await upRepairs();
    const { side, ...others } = await stack.pids();
    expect(side).toBeDefined();
    expect({ side: before["side"], ...others }).toEqual(before);
  });

  it("takes a failed update back when the old settings are back", async () => {
    const before = await stack.running();
    stack.write(withService(light, "page", { command: ["sh", "-c", "echo no such luck; exit 3"] }));
    const failed = await driver.run(stack, "up");
    expect(failed.exitCode).not.toBe(0);
    expect(failed.output).toContain(WORDS[runtime].failed);
    expect(failed.output).toContain("    no such luck");

    stack.write(light);
    const { changed, output } = await preview();
    expect(changed).toEqual(["page"]);
    expect(output).toContain(WORDS[runtime].reverted);

    await upRepairs();
    const { page, ...others } = await stack.running();
    expect(page).toBeDefined();
    expect({ page: before["page"], ...others }).toEqual(before);
  });

  it("restarts exactly the service whose settings change", async () => {
    const before = await stack.running();
    light = withService(light, "base", { env: { COLOUR: "blue" } });
    stack.write(light);
    expect((await preview()).changed).toEqual(["base"]);

    await upRepairs();
    const { base, ...others } = await stack.running();
    expect(base).not.toEqual(before["base"]);
    expect({ base: before["base"], ...others }).toEqual(before);
  });

  onHost("finds all well after a restart of the machine", async () => {
    await restartAll(stack);
    await until("all programs to run", async () => Object.keys(await stack.pids()).length === 3);
    const again = await driver.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });

  onHost("takes down what is left when supervisord is dead", async () => {
    const supervisor = await stack.supervisor();
    signal(supervisor, "SIGKILL");
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(stack.processes()).toEqual([]);
  });

  itWhere(runtime === "container")("takes down what is left of containers that are dead, gone and paused", async () => {
    await kill("side");
    const name = (service: string): string => `/containers/${stack.name}-${service}`;
    await engine({ method: "DELETE", path: name("page"), query: { force: "1" } });
    await engine({ method: "POST", path: `${name("base")}/pause` });
    const destroyed = await driver.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await stack.holdings()).toEqual(NOTHING);
  });
});

const WORDS = {
  host: {
    killed: /page: killed by a signal at \d\d:\d\d:\d\d \(restart: no\);/,
    failed: "page: its program has ended (exit status 3)",
    reverted: "page: the last up applied another plan",
  },
  container: {
    killed: /page: killed at \d\d:\d\d:\d\d;/,
    failed: "page: its program has ended (exited with code 3)",
    reverted: "page: exited with code 3",
  },
};

async function stateOf(stack: TestStack, service: string): Promise<string | undefined> {
  const states = await programStates(stack.places.supervisorSocket);
  return states.find(({ name }) => name === service)?.state;
}

const pidsOf = (processes: readonly { readonly pid: number }[]): readonly number[] =>
  processes.map(({ pid }) => pid).sort((a, b) => a - b);
