import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const dir = join(import.meta.dirname, "../../../checks");
const sources = readdirSync(dir).filter((name) => name.endsWith(".ts"));

/** What a file loads as soon as it is imported; types cost nothing. */
function loadedBy(name: string): readonly string[] {
  const text = readFileSync(join(dir, name), "utf8");
  return [...text.matchAll(/^import (?!type )[^;]*? from "([^"]+)";/gms)].flatMap(([, from]) => from ?? []);
}

describe("checks/", () => {
  it("knows nothing of Pulumi", () => {
    for (const name of sources) expect(readFileSync(join(dir, name), "utf8"), name).not.toContain("@pulumi/");
  });

  it("loads no package before a probe needs it", () => {
    for (const name of sources) for (const from of loadedBy(name)) expect(from, name).toMatch(/^(node:|#)/);
  });

  it("can be waited and explained with at the cost of two small files", () => {
    expect(loadedBy("run.ts")).toEqual(["#checks/wait.ts"]);
    expect(loadedBy("wait.ts")).toEqual(["#checks/check.ts"]);
    expect(loadedBy("check.ts")).toEqual([]);
    expect(loadedBy("explain.ts")).toEqual([]);
  });
});
