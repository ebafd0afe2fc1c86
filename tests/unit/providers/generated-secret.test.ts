import { expect, it } from "vitest";
import { create, update } from "#providers/generated-secret.ts";

it("makes a secret of so many bytes, each time another", async () => {
  const made = await Promise.all(Array.from({ length: 20 }, () => create({ bytes: 32 })));
  const values = made.map(({ outs }) => outs.value);
  expect(new Set(values).size).toBe(20);
  for (const value of values) {
    expect(value).toMatch(/^[\w-]+$/);
    expect(Buffer.from(value, "base64url")).toHaveLength(32);
  }
});

it("keeps it, whatever else changes", async () => {
  const olds = (await create({ bytes: 32 })).outs;
  expect((await update("generated", olds, { bytes: 32 })).outs).toEqual(olds);
});

it("makes another one of another length", async () => {
  const olds = (await create({ bytes: 32 })).outs;
  const { outs } = await update("generated", olds, { bytes: 16 });
  expect(outs.value).not.toBe(olds.value);
  expect(Buffer.from(outs.value, "base64url")).toHaveLength(16);
});
