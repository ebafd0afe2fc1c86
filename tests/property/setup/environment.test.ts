import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exportLines } from "#setup/environment.ts";

/** Values in one run of a shell: starting one for each would take most of the time. */
const values = fc.array(
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.replaceAll("\0", "")),
  {
    minLength: 1,
    maxLength: 20,
  },
);
const nasty = fc.array(fc.stringMatching(/^['"\\$`\n!*?~#&;|<>(){}[\] \t%=-]{0,12}$/), { minLength: 1, maxLength: 20 });

describe("exportLines", () => {
  it("brings any value without NUL through eval unchanged", () => {
    fc.assert(
      fc.property(fc.oneof(values, nasty), (list) => {
        const variables = Object.fromEntries(list.map((value, at) => [`V${at}`, value]));
        const print = list.map((_, at) => `printf '%s\\0' "$V${at}"`).join("; ");
        const input = exportLines(variables);
        const seen = execFileSync("sh", ["-c", `eval "$(cat; echo :)"; ${print}`], { input });
        expect(seen.equals(Buffer.from(list.map((value) => `${value}\0`).join("")))).toBe(true);
      }),
    );
  });
});
