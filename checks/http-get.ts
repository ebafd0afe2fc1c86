import type { IncomingHttpHeaders } from "node:http";
import type { NoAnswer } from "#checks/network.ts";
import { noAnswer } from "#checks/network.ts";

const BODY_LIMIT = 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most 1 MiB; empty when it was not wanted. */
  readonly body: string;
}

export type HttpEvidence = HttpAnswer | { readonly error: NoAnswer };

export interface HttpAsk {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent by POST as JSON; without it the request is a GET. */
  readonly json?: unknown;
  /** Instead of those. */
  readonly method?: string;
  /** Sent as it is, instead of `json`. */
  readonly body?: string;
  /** A probe that only needs the status does not wait for a slow body. */
  readonly wantBody: boolean;
}

/**
 * One request on a connection of its own, following no redirect. Never rejects.
 * node:http and not fetch: fetch refuses some ports, and 10080 is what a port offset of 10000 makes of 80.
 */
export async function ask(request: HttpAsk): Promise<HttpEvidence> {
  const { url, signal, headers, json, wantBody } = request;
  const body = request.body ?? (json === undefined ? undefined : JSON.stringify(json));
  // An import would touch every export of them, and one of those loads a whole HTTP client of another kind.
  const { request: open } = process.getBuiltinModule(url.startsWith("https:") ? "node:https" : "node:http");
  return new Promise((resolve) => {
    const fail = (error: unknown) => {
      resolve({ error: noAnswer(error, signal) });
    };
    try {
      const sent = open(url, {
        agent: false,
        signal,
        method: request.method ?? (json === undefined ? "GET" : "POST"),
        headers: json === undefined ? { ...headers } : { ...headers, "content-type": "application/json" },
      });
      sent.on("error", fail);
      sent.on("response", (response) => {
        const head = { status: response.statusCode ?? 0, headers: response.headers };
        const chunks: Buffer[] = [];
        let bytes = 0;
        const finish = () => {
          resolve({ ...head, body: Buffer.concat(chunks).toString("utf8") });
          sent.destroy();
        };
        response.on("error", fail);
        if (!wantBody) {
          finish();
          return;
        }
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes >= BODY_LIMIT) finish();
        });
        response.on("end", finish);
      });
      sent.end(body);
    } catch (error) {
      fail(error);
    }
  });
}

/** The address without what may be secret in it: user, password and query. */
export function shownUrl(url: string): string {
  try {
    const { origin, pathname } = new URL(url);
    return origin + pathname;
  } catch {
    return "an address that is no URL";
  }
}

/** The body as a JSON object, or undefined. */
export function jsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
