import { readFile } from "node:fs/promises";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { redact } from "#checks/explain.ts";
import { ask, jsonObject, shownUrl } from "#checks/http-get.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgeNoAnswer } from "#checks/network.ts";
import { judgeUnreadable } from "#checks/password.ts";

type LlamaCheck = CheckOf<"llama-server">;

/** The server rounds a context size up to a multiple of this. */
const CONTEXT_STEP = 256;

/**
 * Health, then identity, then the declared size, then a token or an embedding: each rung only after the one below. A
 * quick look stops before the last one, which queues behind every answer under way.
 */
export async function probeLlamaServer(check: LlamaCheck, signal: AbortSignal, quick = false): Promise<Outcome> {
  const key = await readApiKey(check.apiKeyFile);
  if ("outcome" in key) return key.outcome;
  const base = check.url.replace(/\/+$/, "");
  const headers: Readonly<Record<string, string>> = key.text === "" ? {} : { authorization: `Bearer ${key.text}` };
  const get = (path: string) => ask({ url: base + path, signal, headers, wantBody: true });

  const health = judgeLlamaHealth(check, await get("/health"));
  if (health !== undefined) return health;
  const alias = judgeLlamaAlias(check, await get("/v1/models"));
  if (alias !== undefined) return alias;
  const props = judgeLlamaProps(check, await get("/props"));
  if (props !== undefined) return props;
  if (quick) return ready(`${shownUrl(check.url)} serves ${check.alias}`);
  const post = (path: string, json: unknown) => ask({ url: base + path, signal, headers, json, wantBody: true });
  const work = check.embeddings
    ? judgeLlamaEmbedding(check, await post("/v1/embeddings", { input: "1", model: check.alias }))
    : judgeLlamaToken(check, await post("/completion", { prompt: "1", n_predict: 1, cache_prompt: false }));
  return work.status === "ready" ? work : { ...work, reason: redact(work.reason, [key.text]) };
}

/** Each judge gives undefined where the next rung decides. */
export function judgeLlamaHealth(check: LlamaCheck, evidence: HttpEvidence): Outcome | undefined {
  const body = judgeAnswer(check, "/health", evidence);
  if ("outcome" in body) return body.outcome;
  return body.json["status"] === "ok" ? undefined : foreign(check, "/health has no status");
}

export function judgeLlamaAlias(check: LlamaCheck, evidence: HttpEvidence): Outcome | undefined {
  const body = judgeAnswer(check, "/v1/models", evidence);
  if ("outcome" in body) return body.outcome;
  const { data } = body.json;
  const ids = Array.isArray(data) ? data.map((model: unknown) => field(model, "id")) : [];
  if (ids.includes(check.alias)) return undefined;
  const got = ids.map((id) => JSON.stringify(id)).join(", ") || "no model";
  return foreign(check, `expected the model ${JSON.stringify(check.alias)}, got ${got}`);
}

/** The size is per slot: a server may have divided the declared size by its slots. 0 means: as the model says. */
export function judgeLlamaProps(check: LlamaCheck, evidence: HttpEvidence): Outcome | undefined {
  const where = place(check);
  const body = judgeAnswer(check, "/props", evidence);
  if ("outcome" in body) return body.outcome;
  const { json } = body;
  const perSlot = field(json["default_generation_settings"], "n_ctx");
  const slots = json["total_slots"];
  if (typeof perSlot !== "number" || typeof slots !== "number") return foreign(check, "/props names no context size");
  const rounded = Math.ceil(check.contextSize / CONTEXT_STEP) * CONTEXT_STEP;
  const fits = [perSlot, perSlot * slots].some((size) => size === check.contextSize || size === rounded);
  if (check.contextSize !== 0 && !fits)
    return failed(
      `${where}: expected a context of ${check.contextSize} tokens, got ${perSlot} in each of ${slots} slots`,
      "lower `contextSize` to what the model and the memory allow, or turn --fit off",
    );
  return json["is_sleeping"] === true
    ? ready(`${where} serves ${check.alias}, asleep: a token would wake it, so none was asked for`)
    : undefined;
}

export function judgeLlamaToken(check: LlamaCheck, evidence: HttpEvidence): Outcome {
  const where = place(check);
  const body = judgeAnswer(check, "/completion", evidence);
  if ("outcome" in body) return body.outcome;
  return body.json["tokens_predicted"] === 1
    ? ready(`${where} generated a token with ${check.alias}`)
    : pending(`${where}/completion answered 200 without a token`);
}

export function judgeLlamaEmbedding(check: LlamaCheck, evidence: HttpEvidence): Outcome {
  const where = `${place(check)}/v1/embeddings`;
  // A model that was not made for embeddings names no way to make one vector of its tokens'.
  if ("status" in evidence && evidence.status === 400) {
    const said = field(jsonObject(evidence.body)?.["error"], "message");
    return failed(
      `${where} answered 400${typeof said === "string" ? `: ${said.slice(0, 200)}` : ""}`,
      "take a model that makes embeddings, or set `args: [--pooling, mean]`",
    );
  }
  const body = judgeAnswer(check, "/v1/embeddings", evidence);
  if ("outcome" in body) return body.outcome;
  const { data } = body.json;
  const vector = field(Array.isArray(data) ? data[0] : undefined, "embedding");
  return Array.isArray(vector) && vector.some((value) => typeof value === "number" && value !== 0)
    ? ready(`${place(check)} made an embedding of ${vector.length} numbers with ${check.alias}`)
    : pending(`${where} answered 200 without an embedding`);
}

function judgeAnswer(
  check: LlamaCheck,
  path: string,
  evidence: HttpEvidence,
): { readonly json: Readonly<Record<string, unknown>> } | { readonly outcome: Outcome } {
  const where = place(check) + path;
  if ("error" in evidence) {
    const foreignBytes = /^HPE_INVALID_(CONSTANT|VERSION)$/.test(evidence.error.code);
    return { outcome: foreignBytes ? foreign(check, "its answer is not HTTP") : judgeNoAnswer(where, evidence.error) };
  }
  const { status, body } = evidence;
  const json = jsonObject(body);
  const said = field(json?.["error"], "message");
  const words = `${where} answered ${status}${typeof said === "string" ? `: ${said.slice(0, 200)}` : ""}`;
  if (status === 200) return json === undefined ? { outcome: foreign(check, `${path} is no JSON object`) } : { json };
  if (status === 401 || status === 403)
    return { outcome: failed(words, `make ${check.apiKeyFile ?? "the check's key file"} hold a key of the server`) };
  // 503 while the model is loading; 429 and other 5xx may pass as well.
  if (status >= 500 && status !== 501) return { outcome: pending(words) };
  if (status === 429) return { outcome: pending(words) };
  return { outcome: foreign(check, words) };
}

function foreign(check: LlamaCheck, what: string): Outcome {
  const { port } = new URL(check.url);
  return failed(
    `another server answers on ${place(check)}: ${what}`,
    `see who listens: ss -ltnp 'sport = :${port || "80"}'`,
  );
}

const place = ({ url }: LlamaCheck): string => shownUrl(url).replace(/\/$/, "");

function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

/** The first key of a llama-server key file: one a line, `#` starts a comment. */
async function readApiKey(path: string | undefined): Promise<{ text: string } | { outcome: Outcome }> {
  if (path === undefined) return { text: "" };
  try {
    const lines = (await readFile(path, "utf8")).split("\n").map((line) => line.trim());
    const key = lines.find((line) => line !== "" && !line.startsWith("#"));
    return key === undefined
      ? { outcome: failed(`the key file ${path} holds no key`, `put one in it`) }
      : { text: key };
  } catch (error) {
    return { outcome: judgeUnreadable(path, (error as NodeJS.ErrnoException).code ?? "UNKNOWN") };
  }
}
