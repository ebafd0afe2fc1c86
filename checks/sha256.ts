import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";

/** What tells one content of a file from another without reading it. */
export interface FileIdentity {
  readonly path: string;
  readonly size: number;
  /** Nanoseconds, as text: a number cannot hold them. */
  readonly mtimeNs: string;
  readonly inode: number;
}

interface Entry extends FileIdentity {
  readonly sha256: string;
}

/** The hash from the cache file, where the file is still the one that was hashed. */
export async function cachedSha256(file: FileIdentity, cacheFile: string): Promise<string | undefined> {
  return (await readCache(cacheFile)).find((entry) => isSame(entry, file))?.sha256;
}

/** The hash, from the cache or by reading the whole file; then it is in the cache. Rejects when `signal` aborts. */
export async function sha256Of(file: FileIdentity, cacheFile: string, signal?: AbortSignal): Promise<string> {
  const known = await cachedSha256(file, cacheFile);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file.path, { highWaterMark: 1024 * 1024 }), hash, signal ? { signal } : {});
  const sha256 = hash.digest("hex");
  await remember({ ...file, sha256 }, cacheFile);
  return sha256;
}

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.path === b.path && a.size === b.size && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

async function readCache(cacheFile: string): Promise<readonly Entry[]> {
  try {
    const value: unknown = JSON.parse(await readFile(cacheFile, "utf8"));
    return Array.isArray(value) ? (value as readonly Entry[]) : [];
  } catch {
    // Missing or damaged: what it held can be computed again.
    return [];
  }
}

async function remember(entry: Entry, cacheFile: string): Promise<void> {
  const others = (await readCache(cacheFile)).filter(({ path }) => path !== entry.path);
  const temporary = `${cacheFile}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(cacheFile), { recursive: true });
    await writeFile(temporary, JSON.stringify([...others, entry], null, 2));
    await rename(temporary, cacheFile);
  } catch {
    // A full or read-only disk costs the next run the same reading, no more.
  }
}
