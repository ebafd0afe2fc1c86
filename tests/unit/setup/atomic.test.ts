import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAtomic, makeLinked, writeFileAtomic } from "#setup/atomic.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom-atomic-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const deadPid = () => spawnSync("true").pid;

function fill(home: string): Promise<void> {
  mkdirSync(home);
  writeFileSync(join(home, "file"), "made");
  return Promise.resolve();
}

describe("makeAtomic", () => {
  it("shows the target only when it is complete", async () => {
    const target = join(dir, "part");
    await makeAtomic(target, async (temporary) => {
      await fill(temporary);
      expect(existsSync(target)).toBe(false);
    });
    expect(readdirSync(dir)).toEqual(["part"]);
  });

  it("leaves nothing after a failure", async () => {
    const failing = makeAtomic(join(dir, "part"), async (temporary) => {
      await fill(temporary);
      throw new Error("no space left");
    });
    await expect(failing).rejects.toThrow("no space left");
    expect(readdirSync(dir)).toEqual([]);
  });

  it("takes the directory that another one made at the same time", async () => {
    const target = join(dir, "part");
    await makeAtomic(target, async (temporary) => {
      await fill(temporary);
      await fill(target);
    });
    expect(readdirSync(dir)).toEqual(["part"]);
  });

  it("removes what a killed one left, and not what a living one makes", async () => {
    const dead = join(dir, `.other.${deadPid()}.0123abcd.tmp`);
    const living = join(dir, `.other.${process.pid}.0123abcd.tmp`);
    await fill(dead);
    await fill(living);
    await makeAtomic(join(dir, "part"), fill);
    expect(existsSync(dead)).toBe(false);
    expect(existsSync(living)).toBe(true);
  });
});

describe("makeLinked", () => {
  it("leaves what it makes where it was made", async () => {
    const target = join(dir, "venv");
    let made = "";
    await makeLinked(target, (home) => {
      made = home;
      return fill(home);
    });
    expect(readFileSync(join(target, "file"), "utf8")).toBe("made");
    expect(existsSync(join(made, "file"))).toBe(true);
    expect(readdirSync(dir)).toHaveLength(2);
  });

  it("leaves nothing after a failure", async () => {
    const failing = makeLinked(join(dir, "venv"), async (home) => {
      await fill(home);
      throw new Error("no space left");
    });
    await expect(failing).rejects.toThrow("no space left");
    expect(readdirSync(dir)).toEqual([]);
  });

  it("removes what a killed one left half made", async () => {
    const half = `.venv.${deadPid()}.0123abcd`;
    await fill(join(dir, half));
    symlinkSync(half, join(dir, `${half}.tmp`));
    await makeLinked(join(dir, "venv"), fill);
    expect(readdirSync(dir)).toHaveLength(2);
    expect(existsSync(join(dir, half))).toBe(false);
  });
});

describe("writeFileAtomic", () => {
  it("replaces a file and leaves no other", () => {
    const file = join(dir, "deeper", "tools.json");
    writeFileAtomic(file, "1");
    writeFileAtomic(file, "2");
    expect(readFileSync(file, "utf8")).toBe("2");
    expect(readdirSync(join(dir, "deeper"))).toEqual(["tools.json"]);
  });
});
