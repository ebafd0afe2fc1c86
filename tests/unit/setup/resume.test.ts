import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadLarge, type LargeFile } from "#setup/resume.ts";
import { serveHttp } from "#tests/support/servers.ts";

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251));
const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const sha256 = sha(content);

let dir: string;
let path: string;
let lines: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom-resume-"));
  path = join(dir, "models", "m.gguf");
  lines = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

const PART = () => `${path}.part`;
function partIs(bytes: Buffer): void {
  mkdirSync(join(dir, "models"));
  writeFileSync(PART(), bytes);
}

type Listener = (request: IncomingMessage, response: ServerResponse, range: number | undefined) => void;

/** A web server that knows ranges, as far as `serve` leaves it to. */
const withRanges =
  (body: Buffer): Listener =>
  (_request, response, from) => {
    if (from === undefined) {
      response.writeHead(200, { "content-length": body.byteLength }).end(body);
    } else if (from >= body.byteLength) {
      response.writeHead(416, { "content-range": `bytes */${body.byteLength}` }).end();
    } else {
      const range = `bytes ${from}-${body.byteLength - 1}/${body.byteLength}`;
      response.writeHead(206, { "content-range": range }).end(body.subarray(from));
    }
  };

async function server(...listeners: readonly Listener[]) {
  const asked: {
    readonly url: string;
    readonly range: number | undefined;
    readonly authorization: string | undefined;
  }[] = [];
  const local = await serveHttp((request, response) => {
    const found = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const range = found === undefined ? undefined : Number(found);
    asked.push({ url: request.url ?? "", range, authorization: request.headers.authorization });
    const listener = listeners[Math.min(asked.length, listeners.length) - 1];
    listener?.(request, response, range);
  });
  return { ...local, asked, ranges: () => asked.map((one) => one.range) };
}

const fetchIt = (url: string, more: Partial<LargeFile> = {}) =>
  downloadLarge(
    { name: "model m", url: `${url}/m.gguf?secret=canary`, path, sha256, ...more },
    { report: (line) => lines.push(line), pauses: [0, 0, 0] },
  );
const expectWhole = () => {
  expect(readFileSync(path).equals(content)).toBe(true);
  expect(readdirSync(join(dir, "models"))).toEqual(["m.gguf"]);
};
/** Breaks once what it sent has arrived: of what is still under way then, a broken line gives nothing out. */
const breaksAfter =
  (bytes: number): Listener =>
  (_request, response, from = 0) => {
    response.writeHead(from === 0 ? 200 : 206, {
      "content-length": content.byteLength - from,
      ...(from > 0 && { "content-range": `bytes ${from}-${content.byteLength - 1}/${content.byteLength}` }),
    });
    response.write(content.subarray(from, from + bytes));
    const watch = setInterval(() => {
      if (statSync(PART(), { throwIfNoEntry: false })?.size !== from + bytes) return;
      clearInterval(watch);
      response.destroy();
    }, 5);
  };

describe("a large download", () => {
  it("is whole, has its name and its sum", async () => {
    await using web = await server(withRanges(content));
    expect(await fetchIt(web.url)).toBe(sha256);
    expectWhole();
    expect(web.ranges()).toEqual([undefined]);
    expect(lines).toEqual([]);
  });

  it("goes on where an earlier one ended", async () => {
    partIs(content.subarray(0, 100_000));
    await using web = await server(withRanges(content));
    await fetchIt(web.url);
    expectWhole();
    expect(web.ranges()).toEqual([100_000]);
    expect(lines).toEqual(["model m: going on at 0 MB"]);
  });

  it("goes on after each break of the line, as often as something came", async () => {
    await using web = await server(...Array.from({ length: 6 }, () => breaksAfter(40_000)), withRanges(content));
    await fetchIt(web.url);
    expectWhole();
    expect(web.ranges()).toEqual([undefined, 40_000, 80_000, 120_000, 160_000, 200_000, 240_000]);
  });

  it("begins anew where the server knows no ranges", async () => {
    partIs(Buffer.from("other"));
    await using web = await server((_request, response) => response.end(content));
    await fetchIt(web.url);
    expectWhole();
  });

  it("needs nothing more where all of it was there", async () => {
    partIs(content);
    await using web = await server(withRanges(content));
    expect(await fetchIt(web.url)).toBe(sha256);
    expectWhole();
    expect(web.ranges()).toEqual([content.byteLength]);
  });

  it.each<[string, Buffer]>([
    ["is longer than the file", Buffer.concat([content, content])],
    ["is that of another version", Buffer.alloc(1000)],
  ])("begins anew where what was there %s", async (_what, part) => {
    partIs(part);
    await using web = await server(withRanges(content));
    await fetchIt(web.url);
    expectWhole();
    expect(web.ranges()).toEqual([part.byteLength, undefined]);
  });

  it("tries again while the server is in trouble", async () => {
    const trouble: Listener = (_request, response) => response.writeHead(503).end();
    await using web = await server(trouble, trouble, withRanges(content));
    await fetchIt(web.url);
    expectWhole();
    expect(lines).toEqual([1, 2].map(() => `model m: ${web.url}/m.gguf answered 503; again in 0 s`));
  });

  it("is given up when nothing comes, and keeps what is there", async () => {
    const silent: Listener = (_request, response) => response.destroy();
    await using web = await server(breaksAfter(50_000), silent);
    await expect(fetchIt(web.url)).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD",
      fix: `see that this host can reach it, and run the command again: it goes on with ${PART()}`,
    });
    expect(web.asked).toHaveLength(1 + 3);
    expect(statSync(PART()).size).toBe(50_000);
    expect(existsSync(path)).toBe(false);
  });

  it("is given up where nobody listens", async () => {
    const web = await server(withRanges(content));
    await web[Symbol.asyncDispose]();
    await expect(fetchIt(web.url)).rejects.toMatchObject({ code: "MODEL_DOWNLOAD" });
    expect(lines).toHaveLength(3);
  });
});

describe("another content", () => {
  it("is refused, and nothing of it stays", async () => {
    const other = Buffer.alloc(content.byteLength);
    await using web = await server(withRanges(other));
    await expect(fetchIt(web.url)).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
      message: `model m: expected sha256 ${sha256} of ${web.url}/m.gguf, got ${sha(other)}.`,
    });
    expect(readdirSync(join(dir, "models"))).toEqual([]);
  });

  it("is refused before it is downloaded where the server tells its sum", async () => {
    const linked = { "x-linked-etag": `"${"0".repeat(64)}"`, location: "/data" };
    await using web = await server((_request, response) => response.writeHead(302, linked).end(), withRanges(content));
    await expect(fetchIt(web.url)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
    expect(statSync(PART(), { throwIfNoEntry: false })).toBeUndefined();
  });

  it("is known by the sum that the server tells, where the stack file has none", async () => {
    const linked = { "x-linked-etag": `"${sha256}"`, location: "/data" };
    const other = Buffer.alloc(content.byteLength);
    await using web = await server((_request, response) => response.writeHead(302, linked).end(), withRanges(other));
    await expect(fetchIt(web.url, { sha256: undefined })).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
  });

  it("cannot be known where nobody tells a sum; then nothing that was there is built upon", async () => {
    partIs(Buffer.alloc(1000));
    await using web = await server(withRanges(content));
    expect(await fetchIt(web.url, { sha256: undefined })).toBe(sha256);
    expectWhole();
  });
});

describe("a refusal", () => {
  it.each([401, 403, 404, 410])("%i is final, and says what to do", async (status) => {
    await using web = await server((_request, response) => response.writeHead(status).end());
    await expect(fetchIt(web.url, { onRefused: "export HF_TOKEN=…" })).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD",
      message: `model m: expected to download it, got: ${web.url}/m.gguf answered ${status}.`,
      fix: "export HF_TOKEN=…",
    });
    expect(web.asked).toHaveLength(1);
  });

  it("is a circle of redirects", async () => {
    await using web = await server((_request, response) => response.writeHead(302, { location: "/again" }).end());
    await expect(fetchIt(web.url)).rejects.toThrow("more than 5 redirects");
  });

  it("is a disk that is too small, before a byte of it is written", async () => {
    await using web = await server((_request, response) => {
      response.writeHead(200, { "content-length": 9e15 });
      response.flushHeaders();
    });
    await expect(fetchIt(web.url)).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(existsSync(PART())).toBe(false);
  });
});

describe("a token", () => {
  it("goes to the first host alone, and is in no line", async () => {
    await using store = await server(withRanges(content));
    await using hub = await server((_request, response) => {
      response.writeHead(302, { location: store.url.replace("127.0.0.1", "localhost") }).end();
    });
    await fetchIt(hub.url, { token: "canary" });
    expect(hub.asked[0]?.authorization).toBe("Bearer canary");
    expect(store.asked.map(({ authorization }) => authorization)).toEqual([undefined]);
    expect(lines.join()).not.toContain("canary");
  });

  it("is in no error", async () => {
    await using web = await server((_request, response) => response.writeHead(401).end());
    const error = await fetchIt(web.url, { token: "canary" }).catch((caught: unknown) => caught);
    expect(JSON.stringify([error, (error as Error).message])).not.toContain("canary");
  });
});

it("what is there stays when the program is interrupted", async () => {
  const sent = Promise.withResolvers<undefined>();
  await using web = await server((_request, response) => {
    response.writeHead(200, { "content-length": content.byteLength });
    response.write(content.subarray(0, 120_000), () => sent.resolve(undefined));
  });
  const program = `import { downloadLarge } from "#setup/resume.ts";
    await downloadLarge(${JSON.stringify({ name: "m", url: web.url, path, sha256 })}, { report: console.log });`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: "inherit" });
  const ended = once(child, "exit");
  await sent.promise;
  await expect.poll(() => statSync(PART(), { throwIfNoEntry: false })?.size).toBe(120_000);
  child.kill("SIGINT");
  await ended;
  await using again = await server(withRanges(content));
  await fetchIt(again.url);
  expectWhole();
  expect(again.ranges()).toEqual([120_000]);
});
