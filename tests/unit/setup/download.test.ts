import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAtomic } from "#setup/atomic.ts";
import { download } from "#setup/download.ts";

const content = Buffer.from("the model".repeat(1000));
const pinned = { sha256: createHash("sha256").update(content).digest("hex"), bytes: content.byteLength };

let dir: string;
let server: Server;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom-download-"));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
}

const fetchTo = (url: string, seen: number[] = []) =>
  makeAtomic(join(dir, "model.gguf"), (temporary) =>
    download(url, temporary, pinned, (bytes) => {
      seen.push(bytes);
    }),
  );

describe("download", () => {
  it("takes the file whose hash fits, and tells how far it is", async () => {
    const url = await serve((_, response) => response.end(content));
    const seen: number[] = [];
    await fetchTo(url, seen);
    expect(readFileSync(join(dir, "model.gguf")).equals(content)).toBe(true);
    expect(seen.at(-1)).toBe(content.byteLength);
  });

  it.each([
    ["another file of the same size", Buffer.alloc(content.byteLength), /expected sha256 [0-9a-f]{64}, got/],
    ["a shorter one", content.subarray(1), /expected 9000 bytes, got 8999/],
    ["a longer one", Buffer.concat([content, content]), /expected 9000 bytes, got more/],
  ])("refuses %s and leaves nothing", async (_, body, message) => {
    const url = await serve((__, response) => response.end(body));
    await expect(fetchTo(url)).rejects.toThrow(message);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("leaves nothing when the connection breaks in the middle", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": content.byteLength });
      response.write(content.subarray(0, 4000), () => response.destroy());
    });
    await expect(fetchTo(url)).rejects.toThrow();
    expect(readdirSync(dir)).toEqual([]);
  });

  it("names the status of a server that does not have it", async () => {
    const url = await serve((_, response) => response.writeHead(404).end());
    await expect(fetchTo(url)).rejects.toThrow(`${url} answered 404`);
  });

  it("gives up in 5 s on a server that accepts and never answers", async () => {
    const url = await serve(() => undefined);
    const started = performance.now();
    await expect(fetchTo(url)).rejects.toThrow(url);
    expect(performance.now() - started).toBeLessThan(6_000);
    expect(existsSync(join(dir, "model.gguf"))).toBe(false);
  }, 10_000);
});
