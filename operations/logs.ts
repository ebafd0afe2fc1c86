import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import type { ServicePlan } from "#stack/plan.ts";

/** One file that a service writes. */
export interface LogFile {
  readonly service: string;
  /** Its standard error alone goes there. */
  readonly isErrorLog: boolean;
  readonly path: string;
}

export const logFilesOf = ({ name, logFile, errorLog }: ServicePlan): readonly LogFile[] => [
  { service: name, isErrorLog: false, path: logFile },
  ...(errorLog === undefined ? [] : [{ service: name, isErrorLog: true, path: errorLog }]),
];

const CHUNK_BYTES = 65_536;

/**
 * The last lines, also from before the last rotation; undefined where there is no log.
 * @param end byte at which the file is taken to end.
 */
export function lastLines(path: string, count: number, end?: number): readonly string[] | undefined {
  const lines = linesFromEnd(path, count, end);
  if (lines === undefined || lines.length >= count) return lines;
  return [...(linesFromEnd(`${path}.1`, count - lines.length) ?? []), ...lines];
}

function linesFromEnd(path: string, count: number, end?: number): readonly string[] | undefined {
  const file = open(path);
  if (file === undefined) return undefined;
  try {
    let start = end ?? fstatSync(file).size;
    let bytes = Buffer.alloc(0);
    // One line end more than lines: the one that ends the line before them.
    while (start > 0 && lineEnds(bytes) <= count) {
      const size = Math.min(CHUNK_BYTES, start);
      start -= size;
      const chunk = Buffer.alloc(size);
      readSync(file, chunk, 0, size, start);
      bytes = Buffer.concat([chunk, bytes]);
    }
    const text = bytes.toString("utf8").replace(/\n$/, "");
    return text === "" || count === 0 ? [] : text.split("\n").slice(-count);
  } finally {
    closeSync(file);
  }
}

const lineEnds = (bytes: Buffer): number => bytes.reduce((sum, byte) => (byte === 0x0a ? sum + 1 : sum), 0);

/** Hands on what is written from now on, through rotation; call `poll` every so often. */
export class LogFollower {
  readonly #path: string;
  #file: number | undefined;
  #position = 0;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  constructor(path: string) {
    this.#path = path;
    this.#file = open(path);
    if (this.#file !== undefined) this.#position = fstatSync(this.#file).size;
  }

  /** Byte up to which the file was read, or stood before. */
  get position(): number {
    return this.#position;
  }

  /** Whole lines since the last call. */
  poll(): readonly string[] {
    const lines = this.#read();
    if (!this.#isReplaced()) return lines;
    // supervisord has renamed the file, after its last write to it.
    const last = this.#read();
    this.close();
    this.#file = open(this.#path);
    return [...lines, ...last, ...this.#read()];
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#position = 0;
  }

  #read(): readonly string[] {
    if (this.#file === undefined) return [];
    // Emptied in place, as `supervisorctl clear` and logrotate's copytruncate do.
    if (fstatSync(this.#file).size < this.#position) this.#position = 0;
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let size; (size = readSync(this.#file, chunk, 0, chunk.length, this.#position)) > 0;) {
      this.#position += size;
      this.#rest += this.#decoder.write(chunk.subarray(0, size));
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  #isReplaced(): boolean {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined) return false;
    return this.#file === undefined || now.ino !== fstatSync(this.#file).ino;
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
