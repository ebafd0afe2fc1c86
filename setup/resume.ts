import { createHash, type Hash } from "node:crypto";
import { createReadStream, mkdirSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EnvHttpProxyAgent, Response } from "undici";
import { freeBytes } from "#checks/disk.ts";
import { shownUrl } from "#checks/http-get.ts";
import { UserError } from "#cli/errors.ts";

/** A large file that is downloaded, with pauses and breaks, to `path`. */
export interface LargeFile {
  /** What the lines of the report call it. */
  readonly name: string;
  readonly url: string;
  readonly path: string;
  /** Without one, the sum that the server tells counts (Hugging Face does for its large files), if any. */
  readonly sha256?: string;
  /** Goes to the host of `url` alone, and to no other one that it leads to. */
  readonly token?: string;
  /** What to do when the server refuses. */
  readonly onRefused?: string;
}

export interface ResumeOptions {
  readonly report: (line: string) => void;
  /** Pause before each new try, in milliseconds; a try that brought something begins the series anew. */
  readonly pauses?: readonly number[];
}

const PAUSES = [1000, 2000, 4000, 8000, 15_000];
const WORDS_EVERY_MS = 3000;
const CONNECT_MS = 10_000;
const SILENT_MS = 60_000;
const REDIRECTS = 5;
/** Kept free beside the file. */
const SPARE_BYTES = 256 * 2 ** 20;

/** The line broke, or the server is in trouble: another try may help. */
class BrokenOff extends Error {}

/** What is there of the file, and its hash so far. */
interface Part {
  hash: Hash;
  bytes: number;
}

interface Answer {
  readonly response: Response;
  /** Of the whole file, as the first server on the way told it. */
  readonly sha256: string | undefined;
}

/**
 * Downloads to `<path>.part`, and gives the file its name when it is whole and its sum fits. What is there of it is gone
 * on with, after a break as after Ctrl-C.
 *
 * @returns its sha256.
 * @throws UserError
 */
export async function downloadLarge(file: LargeFile, options: ResumeOptions): Promise<string> {
  const { EnvHttpProxyAgent } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_MS },
    headersTimeout: SILENT_MS,
    bodyTimeout: SILENT_MS,
  });
  mkdirSync(dirname(file.path), { recursive: true });
  try {
    return await untilWhole(file, options, dispatcher);
  } finally {
    await dispatcher.destroy();
  }
}

async function untilWhole(file: LargeFile, options: ResumeOptions, dispatcher: EnvHttpProxyAgent): Promise<string> {
  const { report, pauses = PAUSES } = options;
  const partFile = `${file.path}.part`;
  const part: Part = { hash: createHash("sha256"), bytes: 0 };
  let fresh = sizeOf(partFile) === 0;
  for (let tries = 0; ;) {
    const before = sizeOf(partFile);
    try {
      const wanted = await attempt(file, part, partFile, options, dispatcher);
      const sha256 = part.hash.digest("hex");
      if (wanted === undefined || wanted === sha256) {
        renameSync(partFile, file.path);
        return sha256;
      }
      rmSync(partFile);
      Object.assign(part, { hash: createHash("sha256"), bytes: 0 });
      if (fresh) throw otherContent(file, wanted, sha256);
      // The beginning may be that of another version.
      report(`${file.name}: what was there does not fit, from the beginning`);
      fresh = true;
    } catch (error) {
      if (!(error instanceof BrokenOff)) throw error;
      if (sizeOf(partFile) > before) tries = 0;
      const pause = pauses[tries];
      tries += 1;
      if (pause === undefined) throw gaveUp(file, error.message, partFile);
      report(`${file.name}: ${error.message}; again in ${pause / 1000} s`);
      await sleep(pause);
    }
  }
}

/** Gets what is missing. @returns the sum that the file must have, where anybody told one. */
async function attempt(
  file: LargeFile,
  part: Part,
  partFile: string,
  { report }: ResumeOptions,
  dispatcher: EnvHttpProxyAgent,
): Promise<string | undefined> {
  let at = sizeOf(partFile);
  const { response, sha256 } = await ask(file, at, dispatcher);
  const wanted = file.sha256 ?? sha256;
  if (file.sha256 !== undefined && sha256 !== undefined && file.sha256 !== sha256) {
    await response.body?.cancel();
    throw otherContent(file, file.sha256, sha256);
  }
  const total = totalOf(response);
  if (response.status === 416) {
    await response.body?.cancel();
    if (at === total) await hashTo(part, partFile, at);
    else rmSync(partFile, { force: true });
    if (at !== total) throw new BrokenOff(`there were ${at} bytes of ${total ?? "an unknown number"}`);
    return wanted;
  }
  // A server that knows no ranges sends all; and a part that no sum will prove is not to be trusted.
  if (response.status === 200 || wanted === undefined) {
    if (response.status !== 200) {
      await response.body?.cancel();
      rmSync(partFile, { force: true });
      throw new BrokenOff("no sum proves what is there of it");
    }
    if (at > 0) truncateSync(partFile, 0);
    at = 0;
  }
  await requireSpace(file, (total ?? 0) - at);
  await hashTo(part, partFile, at);
  if (at > 0) report(`${file.name}: going on at ${megabytes(at)} MB`);
  await append(file, response, part, partFile, total, report);
  if (total !== undefined && part.bytes !== total) {
    throw new BrokenOff(`the connection ended at ${megabytes(part.bytes)} of ${megabytes(total)} MB`);
  }
  return wanted;
}

async function append(
  { name }: LargeFile,
  response: Response,
  part: Part,
  partFile: string,
  total: number | undefined,
  report: (line: string) => void,
): Promise<void> {
  const tell = progress(name, part.bytes, total, report);
  const target = await open(partFile, "a", 0o644);
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      await target.write(chunk);
      part.hash.update(chunk);
      part.bytes += chunk.byteLength;
      tell(part.bytes);
    }
    await target.sync();
  } catch (error) {
    throw isOfDisk(error) ? error : new BrokenOff(reasonOf(error));
  } finally {
    await target.close();
  }
}

/** Brings the hash up to what is in the file; after a break in this process it is there already. */
async function hashTo(part: Part, partFile: string, bytes: number): Promise<void> {
  if (part.bytes === bytes) return;
  const hash = createHash("sha256");
  const read = createReadStream(partFile, { end: bytes - 1, highWaterMark: 1 << 20 });
  if (bytes > 0) for await (const chunk of read as AsyncIterable<Buffer>) hash.update(chunk);
  else read.destroy();
  Object.assign(part, { hash, bytes });
}

/** Follows redirects itself: the first answer tells the sum, and the token is for the first host alone. */
async function ask(file: LargeFile, at: number, dispatcher: EnvHttpProxyAgent): Promise<Answer> {
  const { fetch } = await import("undici");
  let url = new URL(file.url);
  const { origin } = url;
  let sha256: string | undefined;
  for (let redirects = 0; redirects <= REDIRECTS; redirects++) {
    const headers = {
      "accept-encoding": "identity",
      ...(at > 0 && { range: `bytes=${at}-` }),
      ...(file.token !== undefined && url.origin === origin && { authorization: `Bearer ${file.token}` }),
    };
    const response = await fetch(url, { dispatcher, headers, redirect: "manual" }).catch((error: unknown) => {
      throw new BrokenOff(`${shownUrl(url.href)}: ${reasonOf(error)}`);
    });
    sha256 ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get("x-linked-etag") ?? "")?.[1];
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      url = new URL(location, url);
      continue;
    }
    if ([200, 206, 416].includes(response.status)) return { response, sha256 };
    await response.body?.cancel();
    throw refusal(file, url, response.status);
  }
  throw refused(file, `more than ${REDIRECTS} redirects`);
}

function refusal(file: LargeFile, url: URL, status: number): Error {
  const words = `${shownUrl(url.href)} answered ${status}`;
  return status >= 500 || status === 429 || status === 408 ? new BrokenOff(words) : refused(file, words);
}

const refused = ({ name, onRefused }: LargeFile, got: string): UserError =>
  new UserError("MODEL_DOWNLOAD", `${name}: expected to download it, got: ${got}.`, {
    fix: onRefused ?? "correct its `source`",
  });

const gaveUp = ({ name }: LargeFile, got: string, partFile: string): UserError =>
  new UserError("MODEL_DOWNLOAD", `${name}: expected to download it, got: ${got}.`, {
    fix: `see that this host can reach it, and run the command again: it goes on with ${partFile}`,
  });

const otherContent = ({ name, url }: LargeFile, wanted: string, got: string): UserError =>
  new UserError("CHECKSUM_MISMATCH", `${name}: expected sha256 ${wanted} of ${shownUrl(url)}, got ${got}.`, {
    fix: "correct `sha256`, or see who changed the file",
  });

async function requireSpace({ name, path }: LargeFile, bytes: number): Promise<void> {
  const free = await freeBytes(dirname(path));
  if (free >= bytes + SPARE_BYTES) return;
  throw new UserError(
    "DISK_FULL",
    `${name}: expected ${megabytes(bytes + SPARE_BYTES)} MB free for ${path}, got ${megabytes(free)} MB.`,
    { fix: "free some space there, or set settings.modelsDir to another disk" },
  );
}

/** Of the whole file, by what the server says. */
function totalOf(response: Response): number | undefined {
  const header =
    response.status === 200
      ? response.headers.get("content-length")
      : /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return header === null || header === undefined ? undefined : Number(header);
}

function progress(name: string, from: number, total: number | undefined, report: (line: string) => void) {
  const started = performance.now();
  let last = started;
  return (bytes: number): void => {
    const now = performance.now();
    if (now - last < WORDS_EVERY_MS) return;
    last = now;
    const perSecond = (1000 * (bytes - from)) / (now - started);
    const of = total === undefined ? "" : ` of ${megabytes(total)}`;
    const left = total === undefined ? "" : `, ${Math.ceil((total - bytes) / perSecond)} s left`;
    report(`${name}: ${megabytes(bytes)}${of} MB, ${megabytes(perSecond)} MB/s${left}`);
  };
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
const isOfDisk = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO"].includes((error as NodeJS.ErrnoException).code ?? "");

/** fetch says only "fetch failed" or "terminated"; its cause has the reason. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
