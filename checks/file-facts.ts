import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { readGguf } from "#checks/gguf.ts";
import type { GgufHeader, GgufResult } from "#checks/gguf.ts";

/** What tells one content of a file from another without reading it. */
export interface FileIdentity {
  readonly path: string;
  readonly size: number;
  /** Nanoseconds, as text: a number cannot hold them. */
  readonly mtimeNs: string;
  readonly inode: number;
}

/** What reading the file gave. A header takes 20 to 60 ms, a hash a second per 250 MB. */
interface Facts {
  readonly sha256?: string;
  readonly header?: GgufHeader;
}

type Entry = FileIdentity & Facts;

/** The hash from the cache file, where the file is still the one that was hashed. */
export async function knownSha256(file: FileIdentity, cacheFile: string): Promise<string | undefined> {
  return (await recall(file, cacheFile)).sha256;
}

/** The hash, from the cache or by reading the whole file; then it is in the cache. Rejects when `signal` aborts. */
export async function sha256Of(file: FileIdentity, cacheFile: string, signal?: AbortSignal): Promise<string> {
  const known = await knownSha256(file, cacheFile);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file.path, { highWaterMark: 1024 * 1024 }), hash, signal ? { signal } : {});
  const sha256 = hash.digest("hex");
  await remember(file, { sha256 }, cacheFile);
  return sha256;
}

/** Remembers the hash of a file that somebody has just written, and hashed on the way. */
export async function noteSha256(path: string, sha256: string, cacheFile: string): Promise<void> {
  const real = await realpath(path);
  const { size, mtimeNs, ino } = await stat(real, { bigint: true });
  const file = { path: real, size: Number(size), mtimeNs: String(mtimeNs), inode: Number(ino) };
  await remember(file, { sha256 }, cacheFile);
}

/** The header, from the cache or from the file; a good one is then in the cache. Rejects with file system errors. */
export async function ggufOf(file: FileIdentity, cacheFile: string): Promise<GgufResult> {
  const { header } = await recall(file, cacheFile);
  // An older release did not look at the weights.
  if (header !== undefined && "weights" in header) return { status: "good", header };
  const result = await readGguf(file.path);
  if (result.status === "good") await remember(file, { header: result.header }, cacheFile);
  return result;
}

async function recall(file: FileIdentity, cacheFile: string): Promise<Facts> {
  return (await readCache(cacheFile)).find((entry) => isSame(entry, file)) ?? {};
}

async function remember(file: FileIdentity, facts: Facts, cacheFile: string): Promise<void> {
  const entries = await readCache(cacheFile);
  const known = entries.find((entry) => isSame(entry, file));
  const others = entries.filter(({ path }) => path !== file.path);
  const temporary = `${cacheFile}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(cacheFile), { recursive: true });
    await writeFile(temporary, JSON.stringify([...others, { ...known, ...file, ...facts }]));
    await rename(temporary, cacheFile);
  } catch {
    // A full or read-only disk costs the next run the same reading, no more.
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.path === b.path && a.size === b.size && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

async function readCache(cacheFile: string): Promise<readonly Entry[]> {
  try {
    const value: unknown = JSON.parse(await readFile(cacheFile, "utf8"));
    return Array.isArray(value) ? value.filter(isEntry) : [];
  } catch {
    // Missing or damaged: what it held can be read again.
    return [];
  }
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && "path" in value && "mtimeNs" in value;
}
