import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensurePassphrase } from "#setup/passphrase.ts";
import { hostPlaces, projectPlaces } from "#stack/places.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom-passphrase-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function project() {
  return projectPlaces(hostPlaces({ ENGINEROOM_STATE_HOME: join(dir, "state") }, 1000), "/src/engineroom");
}

describe("ensurePassphrase", () => {
  it("makes 32 random bytes that only their owner can read, once", () => {
    const { passphraseFile, stateDir } = project();
    ensurePassphrase(project(), {});
    const first = readFileSync(passphraseFile, "utf8");
    ensurePassphrase(project(), {});
    expect(Buffer.from(first, "base64url")).toHaveLength(32);
    expect(statSync(passphraseFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(passphraseFile, "utf8")).toBe(first);
    expect(readdirSync(stateDir).sort()).toEqual(["passphrase", "pulumi"]);
  });

  it.each([{ PULUMI_CONFIG_PASSPHRASE: "" }, { PULUMI_CONFIG_PASSPHRASE_FILE: "/home/me/passphrase" }])(
    "leaves it to the user who sets %o",
    (env) => {
      ensurePassphrase(project(), env);
      expect(() => statSync(project().passphraseFile)).toThrow("ENOENT");
    },
  );

  it("makes its own when the shell has the passphrase file of another checkout", () => {
    ensurePassphrase(project(), { PULUMI_CONFIG_PASSPHRASE_FILE: join(dir, "state", "0123456789ab", "passphrase") });
    expect(statSync(project().passphraseFile).isFile()).toBe(true);
  });

  it("does not make a new one for a state that the lost one encrypted", () => {
    mkdirSync(join(project().backendDir, ".pulumi", "stacks"), { recursive: true });
    expect(() => {
      ensurePassphrase(project(), {});
    }).toThrow(/^passphrase: expected .*\/passphrase, which the state in .* is encrypted with, got no such file\.$/);
  });
});
