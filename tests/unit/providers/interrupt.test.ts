import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { watchInterrupt } from "#providers/interrupt.ts";

// Does not prove: that a cancelled engine ends its program; the end-to-end test of Ctrl-C does.

const engine = `127.0.0.1:${process.pid}`;
const before = process.argv;
beforeEach(() => {
  // A provider's last argument is the address of its engine.
  process.argv = [...before.slice(0, 2), engine];
});
afterEach(() => {
  process.argv = before;
});

/** What its arguments say is a Pulumi program of this engine. */
async function startProgram(address: string) {
  const program = spawn(
    process.execPath,
    ["-e", "setInterval(() => 0, 1e6)", "--", "--monitor", "x", "--engine", address],
    { stdio: "ignore" },
  );
  await once(program, "spawn");
  return program;
}

it("aborts when the program of its engine has gone, and not when another one goes", async () => {
  const [own, other] = await Promise.all([startProgram(engine), startProgram("127.0.0.1:1")]);
  using interrupt = watchInterrupt();
  const aborted = once(interrupt.signal, "abort");
  other.kill();
  await once(other, "exit");
  expect(interrupt.signal.aborted).toBe(false);
  own.kill();
  await aborted;
});

it("aborts at once when the program has gone before", async () => {
  const program = await startProgram(engine);
  program.kill();
  await once(program, "exit");
  using interrupt = watchInterrupt();
  expect(interrupt.signal.aborted).toBe(true);
});

it("goes on where no engine stands behind it", () => {
  process.argv = before.slice(0, 2);
  using interrupt = watchInterrupt();
  expect(interrupt.signal.aborted).toBe(false);
});
