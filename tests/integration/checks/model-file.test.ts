// The real model, whole and damaged. Does not prove that llama-server loads it: servers.test.ts does.
import { constants, copyFileSync, truncateSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readGguf } from "#checks/gguf.ts";
import { inspectModelFile } from "#checks/model-file.ts";
import { modelFile, temporaryDir } from "#tests/support/servers.ts";

const bytes = 253_113_024;
const sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";
const spec = { path: modelFile, bytes, sha256, missing: "fail", stableSeconds: 5 } as const;

describe("the real model", () => {
  it("has a header that says what it is, and exactly the bytes that it needs", async () => {
    const result = await readGguf(modelFile);
    if (result.status !== "good") throw new Error(JSON.stringify(result));
    const { metadata, minimumBytes, unknownTypes, tensorCount } = result.header;
    expect(metadata["general.architecture"]).toBe("gemma3");
    expect(metadata["gemma3.context_length"]).toBe(32_768);
    expect(metadata["gemma3.embedding_length"]).toBe(640);
    expect(metadata["gemma3.block_count"]).toBe(18);
    expect(tensorCount).toBe(236);
    expect(minimumBytes).toBe(bytes);
    expect(unknownTypes).toEqual([]);
  });

  it("is inspected fast, hashed once, and known from then on", async () => {
    await using dir = await temporaryDir();
    const cacheFile = join(dir.path, "hashes.json");
    const look = async (level: "quick" | "full") => {
      const started = performance.now();
      const outcome = await inspectModelFile(spec, { level, cacheFile });
      return { outcome, ms: performance.now() - started };
    };
    const cold = await look("quick");
    expect(cold.outcome).toEqual({
      status: "ready",
      detail: `${modelFile}: gemma3, ${bytes} bytes in 1 file, sha256 not read`,
    });
    const proven = { status: "ready", detail: `${modelFile}: gemma3, ${bytes} bytes in 1 file, sha256 fits` };
    const full = await look("full");
    expect(full.outcome).toEqual(proven);
    const warm = await look("quick");
    expect(warm.outcome).toEqual(proven);
    expect((await look("full")).outcome).toEqual(proven);
    const times = Object.entries({ cold, full, warm }).map(([name, { ms }]) => `${name} ${ms.toFixed(0)} ms`);
    console.info(`model file of ${bytes} bytes: ${times.join(", ")}`);
    // What preflight as a whole may take.
    expect(warm.ms).toBeLessThan(150);
  });

  it("is refused when it is cut, wherever", async () => {
    await using dir = await temporaryDir();
    const path = join(dir.path, "cut.gguf");
    copyFileSync(modelFile, path, constants.COPYFILE_FICLONE);
    const past = Date.now() / 1000 - 60;
    for (const size of [bytes - 1, Math.floor(bytes / 2), 8_000_000, 100_000, 10, 0]) {
      truncateSync(path, size);
      utimesSync(path, past, past);
      const outcome = await inspectModelFile(
        { path, missing: "fail", stableSeconds: 5 },
        { level: "quick", cacheFile: join(dir.path, "hashes.json") },
      );
      expect(outcome.status, `${size} bytes`).toBe("failed");
    }
  });
});
