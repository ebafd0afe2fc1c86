import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import { judgeAlive, probeAlive } from "#checks/alive.ts";
import { judgeCommand } from "#checks/command.ts";
import type { CommandEnd } from "#checks/command.ts";
import { parseStat, processIdentity, processTree, treeOf } from "#checks/process-tree.ts";

const statLine = (name: string, state = "S") =>
  `42 (${name}) ${state} 7 42 42 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 123456 1000000 200 18446744073709551615`;

describe("parseStat", () => {
  it.each(["sh", "a b", "a) R 1 (b", "(", ")"])("reads past the name %j", (name) => {
    expect(parseStat(42, statLine(name))).toEqual({ pid: 42, parent: 7, group: 42, state: "S", startTime: 123456 });
  });

  it("gives nothing for what is no stat line", () => {
    for (const text of ["", "42 (sh)", "nonsense"]) expect(parseStat(42, text)).toBeUndefined();
  });
});

describe("treeOf", () => {
  const process = (pid: number, parent: number, state = "S") => ({ pid, parent, group: 1, state, startTime: 1 });

  it("holds the root first, all below it and nothing else", () => {
    const stats = [process(1, 0), process(12, 11), process(10, 1), process(11, 10), process(20, 1), process(13, 10)];
    expect(treeOf(10, stats)).toEqual([10, 11, 13, 12]);
  });

  it("leaves out zombies, and is empty for one", () => {
    const stats = [process(10, 1), process(11, 10, "Z"), process(12, 10, "X")];
    expect(treeOf(10, stats)).toEqual([10]);
    expect(treeOf(11, stats)).toEqual([]);
    expect(treeOf(99, stats)).toEqual([]);
  });
});

describe("processIdentity and processTree", () => {
  it("see this process and its child", async () => {
    const child = spawn("sleep", ["60"]);
    try {
      await once(child, "spawn");
      const pid = child.pid ?? 0;
      const identity = processIdentity(pid);
      expect(identity).toMatchObject({ pid, bootId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
      expect(processIdentity(pid)).toEqual({ ...identity, state: expect.any(String) as string });
      expect(processTree(process.pid)).toContain(pid);
      expect(processTree(process.pid)[0]).toBe(process.pid);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    expect(processIdentity(child.pid ?? 0)).toBeUndefined();
  });

  it("takes a zombie as dead, although a signal still reaches it", async () => {
    // When the child ends, the shell has become a program that never waits for it.
    const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    try {
      const [output] = (await once(parent.stdout, "data")) as [Buffer];
      const zombie = Number(output.toString());
      expect(processIdentity(zombie)).toBeDefined();
      await expect.poll(() => processIdentity(zombie)).toBeUndefined();
      expect(process.kill(zombie, 0)).toBe(true);
      expect(processTree(parent.pid ?? 0)).toEqual([parent.pid]);
    } finally {
      parent.kill("SIGKILL");
      await once(parent, "exit");
    }
  });
});

describe("judgeAlive", () => {
  const check = { kind: "alive", seconds: 5 } as const;
  it("counts from the start of the main process", () => {
    expect(judgeAlive(check, { pid: 7, seconds: 5 })).toEqual(ready("process 7 has been up for 5.0 s"));
    expect(judgeAlive(check, { pid: 7, seconds: 4.94 })).toEqual(
      pending("process 7 has been up for 4.9 s, expected 5 s"),
    );
    expect(judgeAlive(check, undefined)).toEqual(pending("no program of the service runs"));
  });

  it("fails when nobody tells it how long the service has run", async () => {
    expect(await probeAlive(check, undefined)).toEqual(failed("the check was not told how long the service has run"));
  });
});

describe("judgeCommand", () => {
  const end: CommandEnd = { exitCode: 0, signal: undefined, code: undefined, timedOut: false, lastLine: "" };
  const check = { kind: "command", argv: ["./ok", "-v"] } as const;
  const fix = "correct the check's command";

  it.each([
    [{}, ready("./ok ended with exit code 0")],
    [{ exitCode: 2 }, pending("./ok ended with exit code 2")],
    [{ exitCode: 2, lastLine: "no" }, pending("./ok ended with exit code 2: no")],
    [{ exitCode: undefined, signal: "SIGSEGV" }, pending("./ok was ended by SIGSEGV")],
    [{ exitCode: undefined, signal: "SIGKILL", timedOut: true }, pending("./ok did not end in time")],
    [{ exitCode: undefined, code: "ENOENT" }, failed("the program ./ok was not found", fix)],
    [{ exitCode: undefined, code: "EACCES" }, failed("the program ./ok may not be run", "chmod +x ./ok")],
    [{ exitCode: undefined, code: "EMFILE" }, pending("./ok ended with exit code none")],
  ])("%j", (more, outcome) => {
    expect(judgeCommand(check, { ...end, ...more })).toEqual(outcome);
  });

  it("names the directory, which may be what is missing", () => {
    expect(judgeCommand({ ...check, cwd: "/nope" }, { ...end, exitCode: undefined, code: "ENOENT" })).toEqual(
      failed("the program ./ok or the directory /nope was not found", fix),
    );
  });
});
