import { access, constants, lstat, readlink, realpath } from "node:fs/promises";
import { ggufOf } from "#checks/file-facts.ts";
import type { FileIdentity } from "#checks/file-facts.ts";
import type { GgufResult } from "#checks/gguf.ts";

/** What one look at a path found. */
export type FileLook =
  | { readonly state: "missing"; readonly partBytes?: number }
  | { readonly state: "dangling"; readonly target: string }
  | { readonly state: "loop" }
  | { readonly state: "special"; readonly what: string }
  | { readonly state: "unreadable"; readonly code: string; readonly mode: string; readonly owner: number }
  | {
      readonly state: "file";
      readonly identity: FileIdentity;
      /** Since the last write. */
      readonly ageMs: number;
      readonly gguf: GgufResult;
    };

/** Looks before it opens: a FIFO, a device or a socket could hang the reader or do things. */
export async function lookAt(path: string, cacheFile: string): Promise<FileLook> {
  const real = await resolve(path);
  if (typeof real !== "string") return real;
  try {
    const stat = await lstat(real, { bigint: true });
    if (!stat.isFile()) return { state: "special", what: nameType(stat) };
    const size = Number(stat.size);
    const identity = { path: real, size, mtimeNs: String(stat.mtimeNs), inode: Number(stat.ino) };
    const mode = (Number(stat.mode) & 0o777).toString(8).padStart(4, "0");
    const ageMs = Date.now() - Number(stat.mtimeMs);
    try {
      // A header from the cache says nothing of today's rights.
      await access(real, constants.R_OK);
      return { state: "file", identity, ageMs, gguf: await ggufOf(identity, cacheFile) };
    } catch (error) {
      return { state: "unreadable", code: codeOf(error), mode, owner: Number(stat.uid) };
    }
  } catch (error) {
    return judgeLookError(path, codeOf(error));
  }
}

/** Follows links; names the one that leads nowhere. */
async function resolve(path: string): Promise<string | FileLook> {
  try {
    return await realpath(path);
  } catch (error) {
    const code = codeOf(error);
    if (code !== "ENOENT") return judgeLookError(path, code);
    const target = await readlink(path).catch(() => undefined);
    if (target !== undefined) return { state: "dangling", target };
    const part = await lstat(`${path}.part`).catch(() => undefined);
    return part === undefined ? { state: "missing" } : { state: "missing", partBytes: part.size };
  }
}

function judgeLookError(path: string, code: string): FileLook {
  if (code === "ELOOP") return { state: "loop" };
  if (code === "ENOENT") return { state: "missing" };
  if (code === "ENOTDIR") return { state: "special", what: `a path through something that is no directory (${path})` };
  return { state: "unreadable", code, mode: "unknown", owner: -1 };
}

interface FileType {
  readonly isDirectory: () => boolean;
  readonly isFIFO: () => boolean;
  readonly isSocket: () => boolean;
  readonly isBlockDevice: () => boolean;
}

function nameType(stat: FileType): string {
  if (stat.isDirectory()) return "a directory";
  if (stat.isFIFO()) return "a FIFO";
  if (stat.isSocket()) return "a socket";
  return stat.isBlockDevice() ? "a block device" : "a character device";
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "UNKNOWN";
