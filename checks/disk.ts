import { statfs } from "node:fs/promises";
import { dirname } from "node:path";

/** Bytes that this user may still write at `path`, or at the nearest directory above it that exists. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === path) throw error;
    return freeBytes(parent);
  }
}
