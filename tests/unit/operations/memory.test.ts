import { describe, expect, it } from "vitest";
import { memoryOf } from "#operations/memory.ts";

describe("memoryOf", () => {
  it("of this process lies between what it surely uses and what it has resident", async () => {
    const bytes = await memoryOf([process.pid]);
    expect(bytes).toBeGreaterThan(10 * 2 ** 20);
    expect(bytes).toBeLessThanOrEqual(process.memoryUsage.rss() * 1.2);
  });

  it("of nothing, and of a process that has ended, is nothing", async () => {
    expect(await memoryOf([])).toBe(0);
    expect(await memoryOf([2 ** 22 + 1])).toBe(0);
  });
});
