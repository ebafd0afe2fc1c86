import { createHash } from "node:crypto";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { readJson } from "#observe/records.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export const defaultHost = "unix:///var/run/docker.sock";

/** Where the engine listens, as a URL: DOCKER_HOST, else the current docker context, else the usual socket. */
export function engineHost(env: Environment): string {
  return env["DOCKER_HOST"] || contextHost(env) || defaultHost;
}

function contextHost(env: Environment): string | undefined {
  const dir = env["DOCKER_CONFIG"] || join(env["HOME"] ?? "/", ".docker");
  const config = readJson(join(dir, "config.json")) as { readonly currentContext?: string } | undefined;
  const name = env["DOCKER_CONTEXT"] || config?.currentContext;
  if (!name || name === "default") return undefined;
  const key = createHash("sha256").update(name).digest("hex");
  const meta = readJson(join(dir, "contexts", "meta", key, "meta.json")) as
    { readonly Endpoints?: { readonly docker?: { readonly Host?: string } } } | undefined;
  return meta?.Endpoints?.docker?.Host;
}

export interface EngineCall {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Of the Docker Engine API, without a version: the engine's own is spoken. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** A tar archive. */
  readonly body?: Readable;
  readonly json?: unknown;
  readonly signal?: AbortSignal;
}

/** The engine answered with an error. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** One call whose answer is JSON. Throws {@link EngineError} where the engine says no. */
export async function askEngine<T>(host: string, call: EngineCall): Promise<T> {
  const text = await askEngineText(host, call);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export async function askEngineText(host: string, call: EngineCall): Promise<string> {
  try {
    return await wholeText(await send(host, call));
  } catch (error) {
    if (call.signal?.aborted === true) throw new Error("no answer in time", { cause: error });
    throw error;
  }
}

/** One message of a pull, an import or a build. */
export interface EngineMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
}

/** A call that goes on for a while. An error in the middle of the answer is thrown, like one at its beginning. */
export async function followEngine(
  host: string,
  call: EngineCall,
  onMessage: (message: EngineMessage) => void,
): Promise<void> {
  const response = await send(host, call);
  let rest = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((text) => text.trim() !== "")) {
      const message = JSON.parse(line) as EngineMessage;
      if (message.error !== undefined) throw new EngineError(200, message.error);
      onMessage(message);
    }
  }
}

async function send(host: string, call: EngineCall): Promise<IncomingMessage> {
  const { method = "GET", path, query, body, json, signal } = call;
  const type = body === undefined ? "application/json" : "application/x-tar";
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({
      ...addressOf(host),
      agent: false,
      method,
      path: query === undefined ? path : `${path}?${new URLSearchParams(query).toString()}`,
      headers: body === undefined && json === undefined ? {} : { "content-type": type },
      ...(signal && { signal }),
    });
    sent.on("response", resolve);
    sent.on("error", reject);
    if (body === undefined) sent.end(json === undefined ? undefined : JSON.stringify(json));
    else body.on("error", (error) => sent.destroy(error)).pipe(sent);
  });
  const status = response.statusCode ?? 0;
  if (status < 400) return response;
  throw new EngineError(status, reasonIn(await wholeText(response)));
}

/** Throws on what this program cannot speak to. */
export function addressOf(
  url: string,
): { readonly socketPath: string } | { readonly host: string; readonly port: number } {
  const [, scheme, rest = ""] = /^([a-z]+):\/\/(.+)$/.exec(url) ?? [];
  if (scheme === "unix") return { socketPath: rest };
  if (scheme === "tcp" || scheme === "http") {
    const { hostname, port } = new URL(`http://${rest}`);
    return { host: hostname, port: Number(port || 2375) };
  }
  throw new Error(`expected unix://PATH or tcp://HOST:PORT, got ${url}`);
}

function reasonIn(text: string): string {
  try {
    return (JSON.parse(text) as { readonly message?: string }).message ?? text;
  } catch {
    return text;
  }
}

async function wholeText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) text += chunk;
  return text;
}
