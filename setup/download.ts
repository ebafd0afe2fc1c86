import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { EnvHttpProxyAgent, Response } from "undici";

/** What a file must be to be taken. */
export interface Pinned {
  readonly sha256: string;
  readonly bytes: number;
}

/** What a host that cannot be reached, or never answers, may cost. */
const connectTimeoutMs = 4_000;
const headersTimeout = 4_000;
const bodyTimeout = 60_000;

/**
 * Downloads to `file` and checks it on the way.
 *
 * @throws when the host cannot be reached, answers something else, falls silent for a minute, or sends another file.
 */
export async function download(
  url: string,
  file: string,
  pinned: Pinned,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { EnvHttpProxyAgent } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: connectTimeoutMs }, headersTimeout, bodyTimeout });
  const target = await open(file, "wx", 0o644);
  try {
    const response = await answer(url, dispatcher);
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > pinned.bytes) throw new Error(`${url}: expected ${pinned.bytes} bytes, got more`);
      hash.update(chunk);
      await target.write(chunk);
      onProgress(bytes);
    }
    checkFile(url, pinned, { sha256: hash.digest("hex"), bytes });
    await target.sync();
  } finally {
    await target.close();
    await dispatcher.destroy();
  }
}

async function answer(url: string, dispatcher: EnvHttpProxyAgent): Promise<Response> {
  const { fetch } = await import("undici");
  const response = await fetch(url, { dispatcher }).catch((error: unknown) => {
    // fetch says only "fetch failed"; its cause has the reason.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause: error });
  });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  return response;
}

export function checkFile(name: string, expected: Pinned, got: Pinned): void {
  if (got.bytes !== expected.bytes) throw new Error(`${name}: expected ${expected.bytes} bytes, got ${got.bytes}`);
  if (got.sha256 !== expected.sha256) throw new Error(`${name}: expected sha256 ${expected.sha256}, got ${got.sha256}`);
}
