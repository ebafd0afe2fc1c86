import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lastLines, LogFollower } from "#operations/logs.ts";

let dir: string;
let log: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom-logs-"));
  log = join(dir, "x.log");
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe("lastLines", () => {
  it("says that there is no log", () => {
    expect(lastLines(log, 5)).toBeUndefined();
  });

  it("has no line of an empty log", () => {
    writeFileSync(log, "");
    expect(lastLines(log, 5)).toEqual([]);
  });

  it("takes no more than asked for", () => {
    writeFileSync(log, "a\nb\nc\n");
    expect(lastLines(log, 2)).toEqual(["b", "c"]);
    expect(lastLines(log, 0)).toEqual([]);
    expect(lastLines(log, 9)).toEqual(["a", "b", "c"]);
  });

  it("keeps empty lines and a last line without an end", () => {
    writeFileSync(log, "a\n\nb");
    expect(lastLines(log, 9)).toEqual(["a", "", "b"]);
  });

  it("reads back across its own chunks, and through letters of several bytes", () => {
    const lines = Array.from({ length: 3000 }, (_, index) => `${index} ${"ä€😀".repeat(20)}`);
    writeFileSync(log, `${lines.join("\n")}\n`);
    expect(lastLines(log, 2500)).toEqual(lines.slice(500));
  });

  it("goes on in the log before the last rotation", () => {
    writeFileSync(`${log}.1`, "a\nb\n");
    writeFileSync(log, "c\n");
    expect(lastLines(log, 2)).toEqual(["b", "c"]);
    expect(lastLines(log, 9)).toEqual(["a", "b", "c"]);
  });
});

describe("LogFollower", () => {
  it("begins at the end, and hands on whole lines", () => {
    writeFileSync(log, "old\n");
    const follower = new LogFollower(log);
    expect(follower.poll()).toEqual([]);
    appendFileSync(log, "a\nhal");
    expect(follower.poll()).toEqual(["a"]);
    appendFileSync(log, "f\n");
    expect(follower.poll()).toEqual(["half"]);
    follower.close();
  });

  it("loses no line to a rotation", () => {
    writeFileSync(log, "old\n");
    const follower = new LogFollower(log);
    appendFileSync(log, "last before\n");
    renameSync(log, `${log}.1`);
    appendFileSync(`${log}.1`, "late\n");
    writeFileSync(log, "first after\n");
    expect(follower.poll()).toEqual(["last before", "late", "first after"]);
    appendFileSync(log, "next\n");
    expect(follower.poll()).toEqual(["next"]);
    follower.close();
  });

  it("waits for a log that is not there yet", () => {
    const follower = new LogFollower(log);
    expect(follower.poll()).toEqual([]);
    writeFileSync(log, "first\n");
    expect(follower.poll()).toEqual(["first"]);
    follower.close();
  });

  it("starts over in a log that was emptied in place", () => {
    writeFileSync(log, "a long line\n");
    const follower = new LogFollower(log);
    truncateSync(log);
    appendFileSync(log, "new\n");
    expect(follower.poll()).toEqual(["new"]);
    follower.close();
  });

  it("says where the last lines end for it, so that none shows twice", () => {
    writeFileSync(log, "a\nb\n");
    const follower = new LogFollower(log);
    appendFileSync(log, "c\n");
    expect(lastLines(log, 9, follower.position)).toEqual(["a", "b"]);
    expect(follower.poll()).toEqual(["c"]);
    follower.close();
  });
});
