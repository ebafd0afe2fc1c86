import { once } from "node:events";
import { createServer } from "node:net";

/** Below what the kernel gives out by itself, above what stack `local` uses. */
const FIRST = 20_000;
const LAST = 31_999;

let next = FIRST + ((process.pid * 101) % (LAST - FIRST));

/** A port of 127.0.0.1 that was free a moment ago; never the same twice in this process. */
export async function freePort(): Promise<number> {
  for (let tries = LAST - FIRST; tries > 0; tries--) {
    next = next >= LAST ? FIRST : next + 1;
    // Several callers may wait at the same time.
    const port = next;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`);
}

/** An offset at which every one of these ports is free. */
export async function freeOffset(ports: readonly number[]): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    const offset = FIRST + ((process.pid * 13 + tries * 17) % 2500) + 200;
    const free = await Promise.all(ports.map((port) => isFree(port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error(`no offset is free for ${ports.join(", ")}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: "127.0.0.1", exclusive: true });
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
