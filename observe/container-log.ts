import { request } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { addressOf, engineHost } from "#setup/docker-api.ts";

/** The last lines of what a container wrote, both streams in their order. */
export async function containerLog(id: string, lines: number): Promise<readonly string[]> {
  const found: string[] = [];
  await followContainerLog(id, { lines, follow: false }, (line) => found.push(line));
  return found;
}

export interface LogOptions {
  /** How many of the last lines to begin with. */
  readonly lines: number;
  /** Go on with what is written from now on, until `signal` aborts or the container is removed. */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
}

/** Size of the head of a frame: one byte for the stream, three that are zero, four for the length. */
const HEAD_BYTES = 8;

/** @throws where the engine does not answer, or has no such container. */
export function followContainerLog(id: string, options: LogOptions, onLine: (line: string) => void): Promise<void> {
  const { lines, follow, signal } = options;
  const query = new URLSearchParams({ stdout: "1", stderr: "1", tail: String(lines), follow: follow ? "1" : "0" });
  const path = `/containers/${encodeURIComponent(id)}/logs?${query.toString()}`;
  return new Promise((resolve, reject) => {
    const sent = request({ ...addressOf(engineHost(process.env)), agent: false, path, ...(signal && { signal }) });
    sent.on("error", (error) => {
      if (signal?.aborted) resolve();
      else reject(error);
    });
    sent.on("response", (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        reject(new Error(`the engine answered ${response.statusCode ?? 0} for the log of ${id}`));
        return;
      }
      const split = lineSplitter(onLine);
      let rest: Buffer = Buffer.alloc(0);
      response.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUInt32BE(4)) {
          const end = HEAD_BYTES + rest.readUInt32BE(4);
          split.write(rest.subarray(HEAD_BYTES, end));
          rest = rest.subarray(end);
        }
      });
      response.on("end", () => {
        split.end();
        resolve();
      });
      response.on("error", () => {
        resolve();
      });
    });
    sent.end();
  });
}

function lineSplitter(onLine: (line: string) => void) {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return {
    write: (bytes: Buffer): void => {
      const lines = (rest + decoder.write(bytes)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line.replace(/\r$/, ""));
    },
    end: (): void => {
      if (rest !== "") onLine(rest);
    },
  };
}
