import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redact } from "#checks/explain.ts";

describe("redact", () => {
  it("leaves none of the secrets, wherever they stand", () => {
    // Secrets of which none can arise from the word that takes their place.
    const secret = fc.string({ minLength: 4, unit: fc.constantFrom("a", "b", "$", "&", ".", "*", "%", "'") });
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(4)), (secrets, order) => {
        const text = order.map((index) => secrets[index % secrets.length] ?? "").join("-");
        const shown = redact(text, secrets);
        for (const value of secrets) expect(shown).not.toContain(value);
      }),
    );
  });
});
