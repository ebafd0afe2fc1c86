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

/**
 * Memory of the container that a process is in, as `docker stats` counts it: without what the kernel only keeps for
 * speed. The engine itself may take a second to tell.
 */
export async function cgroupMemory(pid: number): Promise<number | undefined> {
  try {
    const groups = (await readFile(`/proc/${pid}/cgroup`, "utf8")).split("\n");
    const path = (controller: string): string | undefined =>
      groups.find((line) => line.split(":")[1]?.split(",").includes(controller) === true)?.split(":")[2];
    const [first, second] = [path("memory"), path("")];
    const directory = first === undefined ? `/sys/fs/cgroup${second ?? ""}` : `/sys/fs/cgroup/memory${first}`;
    const [usage, stat] = await Promise.all([
      readFile(`${directory}/${first === undefined ? "memory.current" : "memory.usage_in_bytes"}`, "utf8"),
      readFile(`${directory}/memory.stat`, "utf8"),
    ]);
    const idle = /^(?:total_)?inactive_file (\d+)$/gm;
    return Number(usage) - Math.max(0, ...[...stat.matchAll(idle)].map(([, bytes]) => Number(bytes)));
  } catch {
    return undefined;
  }
}
