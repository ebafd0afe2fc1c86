import { createReadStream, statSync } from "node:fs";
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { request } from "node:http";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { failed, pending, ready, type Outcome } from "#checks/check.ts";
import { sha256Of } from "#checks/file-facts.ts";
import { lookAt } from "#checks/model-look.ts";
import { findModel, judgeBringing, listModels } from "#checks/ollama.ts";
import type { OllamaModelSpec } from "./resources.ts";

/** While it checks the sum of a large layer, a server says nothing. */
const SILENT_MS = 600_000;

/** What one line of a long answer says. */
export interface Step {
  readonly status?: string;
  readonly error?: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}

interface Call {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
}

export interface Bringing extends Call {
  readonly model: OllamaModelSpec;
  /** Digest that the server gave the model when it was brought as it is declared now. */
  readonly known: string | undefined;
  /** Where hashes of model files are remembered. */
  readonly cacheFile: string;
}

/** Sees that the server has the model: one attempt. Where it has, the detail is the model's digest. Never rejects. */
export async function bringModel(bringing: Bringing): Promise<Outcome> {
  const { url, model, known, signal } = bringing;
  const look = async () => findModel((await listModels(url, signal)) ?? [], model.name);
  const there = await look();
  // A name that is pulled may mean something newer by now; who wants that pulls it.
  if (there && (model.file === undefined || there.digest === known)) return ready(there.digest);
  try {
    const trouble = await (model.file ? make(bringing, model.file) : pull(bringing));
    if (trouble) return trouble;
  } catch (error) {
    return pending(`${url} broke off: ${error instanceof Error ? error.message : String(error)}`);
  }
  const brought = await look();
  return brought ? ready(brought.digest) : pending(`${url} does not list ${model.name}`);
}

async function pull({ url, model: { name }, ...call }: Bringing): Promise<Outcome | undefined> {
  const said = await follow({ ...call, url: `${url}/api/pull` }, { model: name, insecure: name.startsWith("http:") });
  return said === undefined ? undefined : judgeBringing(name, said);
}

async function make(
  { url, model, cacheFile, ...call }: Bringing,
  file: NonNullable<OllamaModelSpec["file"]>,
): Promise<Outcome | undefined> {
  const files: Record<string, string> = {};
  for (const path of file.mmproj === undefined ? [file.path] : [file.path, file.mmproj]) {
    const look = await lookAt(path, cacheFile);
    if (look.state !== "file") return failed(`${path} was there, and cannot be read any more`);
    const sha256 = await sha256Of(look.identity, cacheFile, call.signal);
    const said = await sendBlob({ ...call, url }, look.identity.path, sha256);
    if (said !== undefined) return judgeBringing(model.name, said);
    files[basename(path)] = `sha256:${sha256}`;
  }
  const { name, template, system } = model;
  const words = { ...(template && { template }), ...(system && { system }) };
  const said = await follow({ ...call, url: `${url}/api/create` }, { model: name, files, ...words });
  return said === undefined ? undefined : judgeBringing(name, said);
}

/** Has the server do something that takes long. @returns what went wrong, in its words. */
async function follow({ url, signal, onStep }: Call, json: unknown): Promise<string | undefined> {
  const sent = open(url, "POST", signal, { "content-type": "application/json" });
  const answer = await answerTo(sent, (stream) => stream.end(JSON.stringify(json)));
  let error: string | undefined;
  let status: string | undefined;
  for await (const line of createInterface({ input: answer })) {
    const step = parse(line);
    // It tells an error after a 200, too.
    error ??= step.error;
    status = step.status ?? status;
    onStep(step);
  }
  if (answer.statusCode !== 200) return error ?? `status ${answer.statusCode ?? 0}`;
  return error ?? (status === "success" ? undefined : `an answer that ended with "${status ?? ""}"`);
}

/** Sends a file that the server does not have yet. @returns what went wrong, in its words. */
async function sendBlob({ url, signal, onStep }: Call, file: string, sha256: string): Promise<string | undefined> {
  const blob = `${url}/api/blobs/sha256:${sha256}`;
  const known = await answerTo(open(blob, "HEAD", signal), (stream) => stream.end());
  known.resume();
  if (known.statusCode === 200) return undefined;
  const total = statSync(file).size;
  const sent = open(blob, "POST", signal, { "content-length": total });
  let completed = 0;
  const answer = await answerTo(sent, (stream) => {
    const content = createReadStream(file, { highWaterMark: 1 << 20 });
    content.on("data", (chunk) => {
      completed += chunk.length;
      onStep({ status: `sending ${basename(file)}`, completed, total });
    });
    // A server that refuses answers before it has read all; what it says is worth more than the broken pipe.
    pipeline(content, stream).catch(() => undefined);
  });
  const words = parse(await textOf(answer)).error;
  return answer.statusCode === 201 ? undefined : (words ?? `status ${answer.statusCode ?? 0}`);
}

/** Removes a model, where a server is there and has it. */
export async function removeModel(url: string, model: string, signal: AbortSignal): Promise<void> {
  const body = JSON.stringify({ model });
  // Node frames no body of a DELETE by itself.
  const sent = open(`${url}/api/delete`, "DELETE", signal, { "content-length": Buffer.byteLength(body) });
  (await answerTo(sent, (stream) => stream.end(body))).resume();
}

function open(url: string, method: string, signal: AbortSignal, headers: RequestOptions["headers"] = {}) {
  return request(url, { method, signal, headers, agent: false, timeout: SILENT_MS });
}

function answerTo(sent: ClientRequest, send: (stream: ClientRequest) => void): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", resolve);
    sent.on("timeout", () => sent.destroy(new Error(`no word for ${SILENT_MS / 60_000} minutes`)));
    send(sent);
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function parse(line: string): Step {
  try {
    return JSON.parse(line) as Step;
  } catch {
    return {};
  }
}
