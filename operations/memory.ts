import { readFile } from "node:fs/promises";

/** The kernel needs 13 ms a GiB to tell shared pages from own ones; of a process this large nearly all are its own. */
const PSS_LIMIT_BYTES = 2 * 2 ** 30;

/**
 * Bytes that the processes use together: proportional set sizes, so that a page which several share counts once. The
 * resident size stands in where the kernel keeps that from us, and for very large processes.
 */
export async function memoryOf(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(memoryOfProcess));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function memoryOfProcess(pid: number): Promise<number> {
  const resident = kilobytes(await read(`/proc/${pid}/status`), "VmRSS");
  if (resident === undefined || resident > PSS_LIMIT_BYTES) return resident ?? 0;
  return kilobytes(await read(`/proc/${pid}/smaps_rollup`), "Pss") ?? resident;
}

/** The value of a line such as `Pss:   1234 kB`, in bytes. */
function kilobytes(text: string, name: string): number | undefined {
  const number = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
  return number === undefined ? undefined : Number(number) * 1024;
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Gone meanwhile, or another user's.
    return "";
  }
}
