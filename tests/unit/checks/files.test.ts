import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { failed } from "#checks/check.ts";
import { freeBytes } from "#checks/disk.ts";
import { judgeUnreadable, readPasswordFile } from "#checks/password.ts";
import { temporaryDir, writeFor } from "#tests/support/servers.ts";

describe("readPasswordFile", () => {
  it.each([
    ["secret\n", "secret"],
    ["secret", "secret"],
    ["secret\r\n", "secret"],
    ["secret\n\n", "secret\n"],
    [" a b ", " a b "],
  ])("takes one newline off %j", async (content, text) => {
    await using dir = await temporaryDir();
    expect(await readPasswordFile(writeFor(dir.path, "password", content))).toEqual({ text });
  });

  it("has no password without a file, and fails at an empty, a missing and a strange one", async () => {
    await using dir = await temporaryDir();
    expect(await readPasswordFile(undefined)).toEqual({ text: "" });
    const path = writeFor(dir.path, "empty", "\n");
    const fix = "./engineroom up writes it anew";
    expect(await readPasswordFile(path)).toEqual({ outcome: failed(`the password file ${path} is empty`, fix) });
    const missing = join(dir.path, "missing");
    expect(await readPasswordFile(missing)).toEqual({
      outcome: failed(`the password file ${missing} does not exist`, fix),
    });
    expect(await readPasswordFile(dir.path)).toEqual({
      outcome: failed(`the password file ${dir.path} cannot be read (EISDIR)`, `ls -l ${dir.path}`),
    });
  });

  it("names a file that may not be read", () => {
    expect(judgeUnreadable("/run/pw", "EACCES")).toEqual(
      failed("the password file /run/pw may not be read by this user", "run as the user who owns it: ls -l /run/pw"),
    );
  });
});

describe("freeBytes", () => {
  it("answers for a path that does not exist yet", async () => {
    await using dir = await temporaryDir();
    const here = await freeBytes(dir.path);
    expect(here).toBeGreaterThan(0);
    const below = await freeBytes(join(dir.path, "a", "b"));
    expect(Math.abs(below - here)).toBeLessThan(1024 ** 3);
  });
});
