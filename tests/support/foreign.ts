import { afterAll, expect, inject } from "vitest";
import type { TestProject } from "vitest/node";
import { checkout } from "./checkout.ts";
import { startStrangerContainer } from "./containers.ts";
import { noDocker } from "./docker.ts";
import { engineroom } from "./driver.ts";
import { inspect, type Inspected } from "./engine.ts";
import { imageOf, programsIn } from "./light.ts";
import { freePort } from "./ports.ts";
import { isAlive, startStranger, type Identity } from "./processes.ts";
import { sweep } from "./sweep.ts";
import { testStack } from "./test-stack.ts";

declare module "vitest" {
  interface ProvidedContext {
    foreign: Readonly<Record<string, Identity>>;
    /** Id and time of start. */
    foreignContainers: Readonly<Record<string, string>>;
  }
}

/**
 * Runs once around all end-to-end tests: a stack of somebody else, and a process and a container that are nobody's,
 * which no test may touch. Vitest calls it by its place in vitest.config.ts.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweep();
  const foreignCheckout = checkout({ name: "foreign" });
  const stack = testStack(foreignCheckout, "foreign", {
    services: {
      page: {
        kind: "process",
        port: await freePort(),
        command: ["python3", "-m", "http.server", "${self.port}", "--bind", "127.0.0.1"],
      },
      quiet: { kind: "process", command: ["sleep", "100000"] },
      ...(noDocker === undefined && {
        box: { kind: "process", in: "container", ...programsIn("container"), command: ["sleep", "100000"] },
      }),
    },
  });
  const stranger = await startStranger(["sleep", "100000"]);
  const image = { image: noDocker === undefined ? imageOf("python") : "", command: ["sleep", "100000"] };
  const strangerBox = noDocker === undefined ? await startStrangerContainer(image) : undefined;
  const up = await engineroom.run(stack, "up");
  const { pid, startTime } = stranger;
  if (up.exitCode === 0) {
    const supervisord = await stack.supervisor();
    project.provide("foreign", { stranger: { pid, startTime }, supervisord, ...(await stack.pids()) });
    const { box } = await stack.containers();
    const boxes = {
      ...(box && { box: startOf(box) }),
      ...(strangerBox && { stranger: startOf(await inspect(strangerBox.id)) }),
    };
    project.provide("foreignContainers", boxes);
  }
  const end = async () => {
    await stranger[Symbol.asyncDispose]();
    await strangerBox?.[Symbol.asyncDispose]();
    await stack[Symbol.asyncDispose]();
    foreignCheckout[Symbol.dispose]();
  };
  if (up.exitCode === 0) return end;
  await end();
  throw new Error(`the foreign stack did not come up:\n${up.output}`);
}

const startOf = ({ Id, State }: Inspected): string => `${Id} ${State.Status} since ${State.StartedAt}`;

/** At the end of a file: the foreign stack and the strangers are the same processes and containers as at its start. */
export function foreignersStayUntouched(): void {
  afterAll(async () => {
    const foreign = inject("foreign");
    expect(Object.keys(foreign)).toEqual(["stranger", "supervisord", "page", "quiet"]);
    expect(Object.entries(foreign).filter(([, identity]) => !isAlive(identity))).toEqual([]);
    const containers = inject("foreignContainers");
    expect(Object.keys(containers)).toEqual(noDocker === undefined ? ["box", "stranger"] : []);
    for (const start of Object.values(containers))
      expect(startOf(await inspect(start.split(" ")[0] ?? ""))).toBe(start);
  });
}
