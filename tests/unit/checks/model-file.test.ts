import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failed, pending } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { inspectModelFile, judgeLook } from "#checks/model-file.ts";
import type { InspectLevel, ModelFileSpec } from "#checks/model-file.ts";
import { judgeMmproj, judgeShard, shardPaths } from "#checks/model-parts.ts";
import { parseGguf } from "#checks/gguf.ts";
import { gguf } from "#tests/support/gguf.ts";
import type { GgufParts } from "#tests/support/gguf.ts";
import { temporaryDir } from "#tests/support/servers.ts";

let dir = "";
let remove = () => Promise.resolve();

beforeEach(async () => {
  const temporary = await temporaryDir();
  dir = temporary.path;
  remove = async () => temporary[Symbol.asyncDispose]();
});
afterEach(() => remove());

const at = (name: string) => join(dir, name);
const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A file that was written a minute ago. */
function put(name: string, bytes: Buffer | string, ageSeconds = 60): string {
  writeFileSync(at(name), bytes);
  age(name, ageSeconds);
  return at(name);
}

function age(name: string, seconds: number): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(at(name), time, time);
}

function inspect(more: Partial<ModelFileSpec> = {}, level: InspectLevel = "full"): Promise<Outcome> {
  const spec: ModelFileSpec = { path: at("m.gguf"), missing: "fail", stableSeconds: 5, ...more };
  return inspectModelFile(spec, { level, cacheFile: at("cache/hashes.json") });
}

const model = gguf();

describe("inspectModelFile", () => {
  it("accepts a whole file at rest, at both levels", async () => {
    const path = put("m.gguf", model);
    const detail = `${path}: llama, ${model.length} bytes in 1 file, no sha256 declared`;
    expect(await inspect()).toEqual({ status: "ready", detail });
    expect(await inspect({}, "quick")).toEqual({ status: "ready", detail });
  });

  it("fails or waits where there is no file, and notices a download under way", async () => {
    const path = at("m.gguf");
    expect(await inspect()).toEqual(
      failed(`${path} does not exist`, "put the file there, correct `file`, or set `missing: wait`"),
    );
    expect(await inspect({ missing: "wait" })).toEqual(pending(`${path} does not exist; waiting for it`));
    put("m.gguf.part", "12345");
    expect(await inspect({ missing: "wait" })).toEqual(
      pending(`${path} does not exist, but a download of it has 5 bytes: ${path}.part; waiting for it`),
    );
  });

  it("follows links, and names those that lead nowhere", async () => {
    put("real.gguf", model);
    symlinkSync("real.gguf", at("m.gguf"));
    expect((await inspect()).status).toBe("ready");
    rmSync(at("real.gguf"));
    expect(await inspect()).toMatchObject({
      status: "failed",
      reason: `${at("m.gguf")} is a link to real.gguf, which does not exist`,
    });
    expect((await inspect({ missing: "wait" })).status).toBe("pending");
    symlinkSync("m.gguf", at("real.gguf"));
    expect(await inspect({ missing: "wait" })).toMatchObject({
      status: "failed",
      reason: `${at("m.gguf")} is a link that leads back to itself`,
    });
  });

  it("opens nothing that is no regular file", async () => {
    const expectSpecial = async (what: string) => {
      for (const level of ["quick", "full"] as const)
        expect(await inspect({ missing: "wait" }, level)).toEqual(
          failed(`${at("m.gguf")}: expected a regular file, got ${what}`, "name the model file itself"),
        );
      rmSync(at("m.gguf"), { recursive: true });
    };
    mkdirSync(at("m.gguf"));
    await expectSpecial("a directory");
    // Opened for reading, it would wait for a writer for ever.
    execFileSync("mkfifo", [at("m.gguf")]);
    await expectSpecial("a FIFO");
    symlinkSync("/dev/zero", at("m.gguf"));
    await expectSpecial("a character device");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at("m.gguf"), resolve));
    renameSync(at("m.gguf"), at("other"));
    symlinkSync("other", at("m.gguf"));
    await expectSpecial("a socket");
    await new Promise((resolve) => server.close(resolve));
  });

  it("names a file that may not be read", async () => {
    chmodSync(put("m.gguf", model), 0o000);
    chmodSync(dir, 0o755);
    const isRoot = process.geteuid?.() === 0;
    // Nothing is unreadable to root.
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(await inspect()).toMatchObject({
        status: "failed",
        reason: expect.stringMatching(/m\.gguf cannot be read by user \d+ \(EACCES; owner \d+, mode 0000\)$/) as string,
        fix: `chmod a+r ${at("m.gguf")}, and a+x on the directories above it`,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it("refuses an empty and a cut file once it rests", async () => {
    put("m.gguf", "");
    expect(await inspect()).toMatchObject({
      status: "failed",
      reason: `${at("m.gguf")} is no whole model: it is empty`,
    });
    for (const share of [0.1, 0.5, 0.99]) {
      put("m.gguf", model.subarray(0, Math.floor(model.length * share)));
      for (const level of ["quick", "full"] as const)
        expect((await inspect({}, level)).status, `${share}`).toBe("failed");
    }
  });

  it("waits for a cut file that is still being written; the quick look says so at once", async () => {
    const path = put("m.gguf", model.subarray(0, 100), 1);
    const reason = expect.stringMatching(/m\.gguf is still being written \(last change 1\.\d s ago\): /) as string;
    expect(await inspect()).toMatchObject({ status: "pending", reason });
    expect(await inspect({ missing: "wait" }, "quick")).toMatchObject({ status: "pending", reason });
    expect(await inspect({}, "quick")).toMatchObject({
      status: "failed",
      reason,
      fix: "run this again when the copy has ended, or set `missing: wait`",
    });
    expect(path).toBe(at("m.gguf"));
  });

  it("waits for a whole file to rest, unless its hash proves it", async () => {
    const path = put("m.gguf", model, 2);
    expect(await inspect()).toMatchObject({
      status: "pending",
      reason: expect.stringMatching(/ changed 2\.\d s ago; it must rest for 5 s$/) as string,
    });
    expect((await inspect({}, "quick")).status).toBe("ready");
    expect(await inspect({ sha256: hashOf(model).toUpperCase() })).toEqual({
      status: "ready",
      detail: `${path}: llama, ${model.length} bytes in 1 file, sha256 fits`,
    });
  });

  it("compares the hash, and reads it from the cache while the file is the same", async () => {
    const path = put("m.gguf", model);
    const wrong = "0".repeat(64);
    const refusal = failed(
      `${path}: expected sha256 ${wrong}, got ${hashOf(model)}`,
      "fetch the file again, or correct `sha256`",
    );
    expect(await inspect({ sha256: wrong }, "quick")).toMatchObject({
      status: "ready",
      detail: expect.stringContaining("sha256 not read") as string,
    });
    expect(await inspect({ sha256: wrong })).toEqual(refusal);
    expect(await inspect({ sha256: wrong }, "quick")).toEqual(refusal);
    const other = Buffer.from(model);
    other[other.length - 1] = 1;
    put("m.gguf", other, 50);
    expect(await inspect({ sha256: hashOf(model) }, "quick")).toMatchObject({ status: "ready" });
    expect(await inspect({ sha256: hashOf(model) })).toMatchObject({ status: "failed" });
    expect(await inspect({ sha256: hashOf(other) }, "quick")).toMatchObject({
      detail: expect.stringContaining("sha256 fits") as string,
    });
    const cache = JSON.parse(readFileSync(at("cache/hashes.json"), "utf8")) as unknown[];
    expect(cache).toHaveLength(1);
  });

  it("hashes anew where the cache is damaged or cannot be written", async () => {
    put("m.gguf", model);
    put("cache", "a file where the directory should be");
    expect((await inspect({ sha256: hashOf(model) })).status).toBe("ready");
    rmSync(at("cache"));
    mkdirSync(at("cache"));
    for (const damage of ["{damaged", "{}", "[null, 1, {}]"]) {
      put("cache/hashes.json", damage);
      expect((await inspect({ sha256: hashOf(model) })).status).toBe("ready");
    }
  });

  it("stops hashing when it is told to", async () => {
    put("m.gguf", model);
    const spec = { path: at("m.gguf"), missing: "fail", stableSeconds: 5, sha256: hashOf(model) } as const;
    const outcome = await inspectModelFile(spec, { level: "full", cacheFile: at("c"), signal: AbortSignal.abort() });
    expect(outcome).toEqual(pending(`${at("m.gguf")} was not read to its end (ABORT_ERR)`));
  });

  it("compares the declared size", async () => {
    put("m.gguf", model);
    expect((await inspect({ bytes: model.length })).status).toBe("ready");
    expect(await inspect({ bytes: 7 }, "quick")).toMatchObject({
      status: "failed",
      reason: `${at("m.gguf")} is no whole model: it has ${model.length} bytes, expected 7`,
    });
  });

  it("names what git left in the place of a large file", async () => {
    put("m.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
    expect(await inspect()).toMatchObject({ status: "failed", fix: "git lfs pull" });
  });

  it("wants every shard, each in its place", async () => {
    const shard = (no: number) =>
      gguf({
        metadata: [
          ["general.architecture", "llama"],
          ["split.no", no],
          ["split.count", 3],
        ],
      });
    const name = (no: number) => `m-0000${no}-of-00003.gguf`;
    for (const no of [1, 2, 3]) put(name(no), shard(no - 1));
    const path = at(name(1));
    expect(await inspect({ path })).toMatchObject({
      status: "ready",
      detail: expect.stringContaining("in 3 files") as string,
    });
    copyFileSync(at(name(2)), at(name(3)));
    age(name(3), 60);
    expect(await inspect({ path })).toMatchObject({ reason: `${at(name(3))}: expected shard 3, got shard 2` });
    rmSync(at(name(2)));
    expect(await inspect({ path })).toMatchObject({ status: "failed", reason: `${at(name(2))} does not exist` });
    put("m.gguf", shard(0));
    expect(await inspect()).toMatchObject({ reason: `${at("m.gguf")}: expected a whole model, got one of 3 shards` });
  });

  it("wants a projector that fits", async () => {
    put(
      "m.gguf",
      gguf({
        metadata: [
          ["general.architecture", "llama"],
          ["llama.embedding_length", 64],
        ],
      }),
    );
    const projector = (dim: number): GgufParts => ({
      metadata: [
        ["general.architecture", "clip"],
        ["clip.vision.projection_dim", dim],
      ],
    });
    const mmproj = put("mmproj.gguf", gguf(projector(64)));
    expect((await inspect({ mmproj }, "quick")).status).toBe("ready");
    put("mmproj.gguf", gguf(projector(32)));
    expect((await inspect({ mmproj }, "quick")).status).toBe("failed");
    truncateSync(mmproj, 50);
    age("mmproj.gguf", 60);
    expect(await inspect({ mmproj }, "quick")).toMatchObject({
      reason: expect.stringContaining("mmproj.gguf is no whole model") as string,
    });
    expect(await inspect({ path: mmproj.replace("mmproj", "none"), mmproj })).toMatchObject({ status: "failed" });
  });

  it("accepts tensors of a newer type with a note", async () => {
    put("m.gguf", gguf({ tensors: [{ name: "a", shape: [32], type: 99 }] }));
    expect(await inspect()).toMatchObject({
      status: "ready",
      detail: expect.stringContaining("cannot verify the end of tensors of type 99") as string,
    });
  });
});

describe("judgeLook", () => {
  it("names user, owner and mode of a file that cannot be read", () => {
    const spec: ModelFileSpec = { path: "/m.gguf", missing: "wait", stableSeconds: 5 };
    const look = { state: "unreadable", code: "EACCES", mode: "0600", owner: 7 } as const;
    const user = process.geteuid?.() ?? "?";
    expect(judgeLook(spec, look, "quick", true)).toEqual({
      outcome: failed(
        `/m.gguf cannot be read by user ${user} (EACCES; owner 7, mode 0600)`,
        "chmod a+r /m.gguf, and a+x on the directories above it",
      ),
    });
  });
});

function headerOf(metadata: NonNullable<GgufParts["metadata"]>) {
  const bytes = gguf({ metadata });
  const result = parseGguf(bytes, bytes.length);
  if (result.status !== "good") throw new Error("expected a sound header");
  return result.header;
}

describe("shardPaths", () => {
  it.each<[string, ReturnType<typeof shardPaths>]>([
    ["a.gguf", { paths: ["a.gguf"] }],
    ["a-00001-of-00001.gguf", { paths: ["a-00001-of-00001.gguf"] }],
    ["d/a-00001-of-00002.gguf", { paths: ["d/a-00001-of-00002.gguf", "d/a-00002-of-00002.gguf"] }],
    [
      "a-00002-of-00003.gguf",
      {
        outcome: failed("a-00002-of-00003.gguf: expected the first shard, got number 2", "name a-00001-of-00003.gguf"),
      },
    ],
    [
      "a-00001-of-99999.gguf",
      { outcome: failed("a-00001-of-99999.gguf: expected 1 to 1000 shards, got 99999", "correct `file`") },
    ],
  ])("%s", (path, result) => {
    expect(shardPaths(path)).toEqual(result);
  });
});

describe("judgeShard", () => {
  it("refuses what is no model", () => {
    expect(judgeShard("p", headerOf([["general.architecture", "clip"]]), 0, 1)).toEqual(
      failed("p: expected a model, got a projector", "name it as `mmproj`, and the model as `file`"),
    );
    const adapter = headerOf([
      ["general.architecture", "llama"],
      ["general.type", "adapter"],
    ]);
    expect(judgeShard("p", adapter, 0, 1)).toMatchObject({ reason: "p: expected a model, got an adapter (LoRA)" });
  });
});

describe("judgeMmproj", () => {
  const text = headerOf([
    ["general.architecture", "llama"],
    ["llama.embedding_length", 64],
  ]);
  const clip = (dim: number, kind: string) =>
    headerOf([
      ["general.architecture", "clip"],
      ["clip.projector_type", kind],
      ["clip.vision.projection_dim", dim],
    ]);

  it.each<[string, ReturnType<typeof headerOf>, ReturnType<typeof judgeMmproj>]>([
    ["fits", clip(64, "mlp"), { notes: [] }],
    [
      "another width",
      clip(32, "mlp"),
      {
        outcome: failed(
          "p: expected a projector to 64 values, as m takes, got one to 32",
          "take the projector that was published with the model",
        ),
      },
    ],
    ["in layers", clip(256, "qwen3vl_merger"), { notes: ["cannot verify that p (qwen3vl_merger) fits m"] }],
    [
      "without a width",
      headerOf([["general.architecture", "clip"]]),
      { notes: ["cannot verify that p fits: one of them names no width"] },
    ],
    ["no projector", text, { outcome: failed("p: expected a projector (clip), got llama", "correct `mmproj`") }],
  ])("%s", (_, projector, result) => {
    expect(judgeMmproj("p", projector, "m", text)).toEqual(result);
  });
});
