import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filesDir } from "#stack/containers.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom, pulumi } from "../support/driver.ts";
import { engine, type Inspected } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { programsIn } from "../support/light.ts";
import { freePort } from "../support/ports.ts";
import { testStack, type TestStack } from "../support/test-stack.ts";

foreignersStayUntouched();

const call = (method: "POST" | "DELETE", path: string, json?: unknown) =>
  engine({ method, path, ...(json !== undefined && { json }) });

/** A way to spoil a container past engineroom, and what a preview must say of it. */
interface Spoiling {
  readonly spoil: (container: Inspected, stack: TestStack) => Promise<unknown>;
  /** Of the service that bears the way's name. */
  readonly reason: RegExp;
}

const SPOILINGS: Readonly<Record<string, Spoiling>> = {
  killed: { spoil: ({ Id }) => call("POST", `/containers/${Id}/kill`), reason: /killed at \d\d:\d\d:\d\d/ },
  stopped: {
    spoil: ({ Id }) => call("POST", `/containers/${Id}/stop`),
    reason: /exited with code 143 at \d\d:\d\d:\d\d/,
  },
  removed: {
    spoil: ({ Id }) => call("DELETE", `/containers/${Id}?force=1`),
    reason: /its container [0-9a-f]{12} is gone/,
  },
  paused: { spoil: ({ Id }) => call("POST", `/containers/${Id}/pause`), reason: /it is paused/ },
  memory: {
    spoil: ({ Id }) => call("POST", `/containers/${Id}/update`, { Memory: 2 ** 27, MemorySwap: 2 ** 28 }),
    reason: /its container was changed, not by engineroom: memory/,
  },
  policy: {
    spoil: ({ Id }) => call("POST", `/containers/${Id}/update`, { RestartPolicy: { Name: "always" } }),
    reason: /its container was changed, not by engineroom: restart policy/,
  },
  unplugged: {
    spoil: ({ Id, NetworkSettings }) =>
      call("POST", `/networks/${Object.keys(NetworkSettings.Networks)[0] ?? ""}/disconnect`, { Container: Id }),
    reason: /its container was changed, not by engineroom: networks/,
  },
  renamed: {
    spoil: ({ Id, Name }) => call("POST", `/containers/${Id}/rename?name=${Name.slice(1)}-other`),
    reason: /its container [0-9a-f]{12} is gone/,
  },
  recreated: {
    spoil: recreate,
    reason: /its container [0-9a-f]{12} was replaced by [0-9a-f]{12}, not by engineroom/,
  },
  edited: {
    spoil: (_, { places }) => appendFile(join(filesDir(places, "edited"), "nginx.conf"), "# by hand\n"),
    reason: /edited by hand: \S+\/edited\/private\/files\/nginx\.conf/,
  },
};

/** As somebody would with what `docker inspect` shows: the same name, labels and settings. */
async function recreate({ Id, Name, Config, HostConfig, NetworkSettings }: Inspected): Promise<void> {
  await call("DELETE", `/containers/${Id}?force=1`);
  const NetworkingConfig = { EndpointsConfig: NetworkSettings.Networks };
  const json = { ...Config, HostConfig, NetworkingConfig };
  await call("POST", `/containers/create?name=${Name.slice(1)}`, json);
  await call("POST", `/containers/${Name.slice(1)}/start`);
}

describeWithDocker("containers that somebody else has changed", () => {
  let clone: Checkout;
  let stack: TestStack;

  beforeAll(async () => {
    clone = checkout();
    // It would start again by itself, were it not ended on purpose: that must not be what repairs it.
    const sleeping = { kind: "process", ...programsIn("container"), command: ["sleep", "100000"] };
    stack = testStack(clone, "drift", {
      settings: { in: "container" },
      services: {
        ...Object.fromEntries(Object.keys(SPOILINGS).map((name) => [name, sleeping])),
        edited: { kind: "nginx", port: await freePort(), routes: {} },
        untouched: sleeping,
      },
    });
    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  it("are each named with the reason by a plain preview, and made anew by a plain up", async () => {
    const before = await stack.containers();
    await Promise.all(Object.entries(SPOILINGS).map(([name, { spoil }]) => spoil(before[name]!, stack)));

    const { exitCode, output } = await pulumi.run(stack, "preview");
    expect(exitCode, output).toBe(0);
    for (const [name, { reason }] of Object.entries(SPOILINGS))
      expect(output, name).toMatch(new RegExp(`^    warning: ${name}: ${reason.source}; up puts it right$`, "m"));
    expect(output.match(/; up puts it right$/gm)).toHaveLength(Object.keys(SPOILINGS).length * 2);
    expect(containersIn(output)).toEqual(Object.keys(SPOILINGS).sort());

    const up = await pulumi.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    const after = await stack.containers();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(Object.values(after).map(({ State }) => State.Status)).toEqual(Object.keys(after).map(() => "running"));
    const kept = Object.keys(after).filter((name) => after[name]?.Id === before[name]?.Id);
    expect(kept).toEqual(["untouched"]);
    expect(after["untouched"]?.State).toEqual(before["untouched"]?.State);
    expect((await stack.holdings()).containers).toEqual(Object.keys(after).map((name) => `${stack.name}-${name}`));
  });

  it("have their network again after it was removed", async () => {
    const before = await stack.containers();
    const [network = ""] = (await stack.holdings()).networks;
    const ids = Object.values(before).map(({ Id }) => Id);
    for (const Container of ids) await call("POST", `/networks/${network}/disconnect`, { Container, Force: true });
    await call("DELETE", `/networks/${network}`);

    const { exitCode, output } = await engineroom.run(stack, "preview");
    expect(exitCode, output).toBe(0);
    expect(output).toContain("untouched: its container was changed, not by engineroom: networks");
    expect(containersIn(output)).toEqual(Object.keys(before).sort());

    const up = await engineroom.run(stack, "up");
    expect(up.exitCode, up.output).toBe(0);
    const again = await pulumi.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
    expect((await stack.holdings()).networks).toEqual([network]);
    expect(Object.keys(await stack.running())).toEqual(Object.keys(before));
  });
});

/** Services whose containers a preview would make anew. */
const containersIn = (output: string): readonly string[] =>
  [...output.matchAll(/^ *\+- +docker:index:Container ([\w-]+)-container /gm)].map(([, name]) => name ?? "").sort();
