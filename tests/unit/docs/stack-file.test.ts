import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { catalog } from "#components/catalog.ts";
import { baseSettings, commonSettings, modelSettings, stackSettings } from "#stack/schema.ts";

const page = readFileSync(new URL("../../../docs/stack-file.md", import.meta.url), "utf8");

/** Keys of the table in the section under a heading. */
function documented(heading: string): readonly string[] {
  const section = page.split(`\n${heading}\n`)[1]?.split(/\n##+ /)[0] ?? "";
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key ?? "");
}

const shapeOf = (schema: unknown): readonly string[] => Object.keys((schema as { shape: object }).shape);

// It proves that every key is named, not that what is said of it is true.
describe("docs/stack-file.md", () => {
  it("names every key that all services have", () => {
    expect(documented("## engineroom:services").toSorted()).toEqual(Object.keys(commonSettings).toSorted());
  });

  it.each(Object.entries(catalog))("names every key of %s", (name, kind) => {
    const common = new Set(["kind", ...Object.keys(name === "job" ? baseSettings : commonSettings)]);
    const own = shapeOf(kind.settings).filter((key) => !common.has(key));
    expect(documented(`### ${name}`).toSorted()).toEqual(own.toSorted());
  });

  it("names every key of external services", () => {
    const common = new Set(["kind", ...Object.keys(commonSettings)]);
    const keys = Object.values(catalog).flatMap(({ external }) => (external ? shapeOf(external.settings) : []));
    const own = [...new Set(keys)].filter((key) => !common.has(key));
    expect(documented("## External services").toSorted()).toEqual(own.toSorted());
  });

  it("names every key of settings and models", () => {
    expect(documented("## engineroom:settings").toSorted()).toEqual(shapeOf(stackSettings).toSorted());
    expect(documented("## engineroom:models").toSorted()).toEqual(shapeOf(modelSettings).toSorted());
  });
});
