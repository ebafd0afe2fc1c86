import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { ask, jsonObject, shownUrl } from "#checks/http-get.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgeNoAnswer } from "#checks/network.ts";

type OllamaCheck = CheckOf<"ollama">;
type Json = Readonly<Record<string, unknown>>;

/** One model as the server lists it. */
export interface ListedModel {
  readonly name: string;
  /** Of its manifest, in hex. */
  readonly digest: string;
}

/**
 * Identity, then the models, then a unit of work by the first: each rung only after the one below. A quick look stops
 * before the work, which would load the model.
 */
export async function probeOllama(check: OllamaCheck, signal: AbortSignal, quick = false): Promise<Outcome> {
  const base = placeOf(check.url);
  const get = (path: string) => ask({ url: base + path, signal, wantBody: true });
  const post = (path: string, json: Json) => ask({ url: base + path, signal, json, wantBody: true });

  const foreign = judgeVersion(base, await get("/api/version"));
  if (foreign) return foreign;
  const listed = judgeTags(base, await get("/api/tags"));
  if ("outcome" in listed) return listed.outcome;
  const missing = judgeMissing(check, listed.models);
  if (missing) return missing;
  const [model] = check.models;
  if (model === undefined) return ready(`${base} answers, and was to have no models`);
  if (quick) return onGpu(check, ready(`${base} has ${check.models.join(", ")}`), quick, () => get("/api/ps"));
  const unit = judgeCapabilities(base, model, await post("/api/show", { model }));
  if ("outcome" in unit) return unit.outcome;
  const work =
    unit.does === "embedding"
      ? judgeEmbedding(base, model, await post("/api/embed", { model, input: "1" }))
      : judgeToken(base, model, await post("/api/generate", oneToken(model)));
  return onGpu(check, work, quick, () => get("/api/ps"));
}

/** A success stays one where the model lies on a GPU; elsewhere it is none, or a degraded one where the CPU will do. */
async function onGpu(
  { gpu, url, models: [model = ""] }: OllamaCheck,
  work: Outcome,
  quick: boolean,
  loaded: () => Promise<HttpEvidence>,
): Promise<Outcome> {
  if (work.status !== "ready" || !gpu) return work;
  const lacking = judgeVram(placeOf(url), model, await loaded());
  // A quick look has loaded nothing.
  if (!lacking || (quick && lacking.status === "pending")) return work;
  return lacking.status === "failed" && !gpu.required ? { ...work, degraded: lacking.reason } : lacking;
}

/** Of a loaded model, in the memory of a GPU; the table of its vocabulary may stay in that of the machine. */
const VRAM_SHARE = 0.98;

const oneToken = (model: string): Json => ({ model, prompt: "1", stream: false, options: { num_predict: 1 } });

/** The models that a server lists; undefined where none answers in time. */
export async function listModels(url: string, signal: AbortSignal): Promise<readonly ListedModel[] | undefined> {
  const listed = judgeTags(placeOf(url), await ask({ url: `${placeOf(url)}/api/tags`, signal, wantBody: true }));
  return "models" in listed ? listed.models : undefined;
}

export function judgeVersion(base: string, evidence: HttpEvidence): Outcome | undefined {
  const body = judgeAnswer(base, "/api/version", evidence);
  if ("outcome" in body) return body.outcome;
  return typeof body.json["version"] === "string" ? undefined : foreign(base, "/api/version names no version");
}

export function judgeTags(
  base: string,
  evidence: HttpEvidence,
): { readonly models: readonly ListedModel[] } | { readonly outcome: Outcome } {
  const body = judgeAnswer(base, "/api/tags", evidence);
  if ("outcome" in body) return body;
  const models = listOf(body.json["models"]).map(({ name, digest }) => ({ name, digest }));
  return models.every(isListed) ? { models } : { outcome: foreign(base, "/api/tags lists no models") };
}

export function judgeMissing(check: OllamaCheck, listed: readonly ListedModel[]): Outcome | undefined {
  const missing = check.models.filter((name) => findModel(listed, name) === undefined);
  if (missing.length === 0) return undefined;
  return failed(`${placeOf(check.url)} does not have ${missing.join(", ")}`, "./engineroom up");
}

/** As Ollama itself compares names. */
export function findModel(listed: readonly ListedModel[], name: string): ListedModel | undefined {
  return listed.find((model) => shortName(model.name) === shortName(name));
}

const shortName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/^https?:\/\//, "")
    .replace(/^registry\.ollama\.ai\//, "")
    .replace(/^library\//, "");

export function judgeCapabilities(
  base: string,
  model: string,
  evidence: HttpEvidence,
): { readonly does: "completion" | "embedding" } | { readonly outcome: Outcome } {
  const body = judgeAnswer(base, `/api/show of ${model}`, evidence);
  if ("outcome" in body) return body;
  const capabilities = body.json["capabilities"];
  const embeds = Array.isArray(capabilities) && capabilities.includes("embedding");
  return { does: embeds && !capabilities.includes("completion") ? "embedding" : "completion" };
}

export function judgeToken(base: string, model: string, evidence: HttpEvidence): Outcome {
  const body = judgeAnswer(base, `/api/generate with ${model}`, evidence);
  if ("outcome" in body) return body.outcome;
  return body.json["done"] === true && Number(body.json["eval_count"]) > 0
    ? ready(`${base} generated a token with ${model}`)
    : pending(`${base}/api/generate answered 200 without a token of ${model}`);
}

export function judgeEmbedding(base: string, model: string, evidence: HttpEvidence): Outcome {
  const body = judgeAnswer(base, `/api/embed with ${model}`, evidence);
  if ("outcome" in body) return body.outcome;
  const [vector] = Array.isArray(body.json["embeddings"]) ? (body.json["embeddings"] as unknown[]) : [];
  return Array.isArray(vector) && vector.length > 0
    ? ready(`${base} made an embedding of ${vector.length} numbers with ${model}`)
    : pending(`${base}/api/embed answered 200 without an embedding of ${model}`);
}

/** What a server said when it could not pull or make a model. */
export function judgeBringing(model: string, said: string): Outcome {
  const words = `${model}: the server said: ${said.slice(0, 300)}`;
  if (/file does not exist|invalid model name|manifest unknown/.test(said)) {
    return failed(words, "correct the name; https://ollama.com/library lists those of its own registry");
  }
  if (/insecure protocol/.test(said)) return failed(words, "write http:// before the name of a registry without TLS");
  if (/no space left/.test(said)) return failed(words, "free some space where its data lies");
  if (/requires a newer version|unsupported|unknown (model )?architecture|invalid file/.test(said)) {
    return failed(words, "take another build of the model, or a newer Ollama");
  }
  // A registry that cannot be reached, a layer that was damaged on its way: asked again, it goes on where it was.
  return pending(words);
}

/** Ollama falls back to the CPU without a word; undefined where enough of the model lies on a GPU. */
export function judgeVram(base: string, model: string, evidence: HttpEvidence): Outcome | undefined {
  const body = judgeAnswer(base, "/api/ps", evidence);
  if ("outcome" in body) return body.outcome;
  const loaded = listOf(body.json["models"]).find(({ name }) => shortName(String(name)) === shortName(model));
  const { size, size_vram: vram = 0 } = loaded ?? {};
  if (typeof size !== "number" || typeof vram !== "number" || size <= 0) {
    return pending(`${base}/api/ps does not show ${model} loaded`);
  }
  const share = vram / size;
  if (share >= VRAM_SHARE) return undefined;
  const part = vram === 0 ? "it runs on the CPU" : `${(share * 100).toFixed(0)} % of it`;
  return failed(
    `${base}: expected ${VRAM_SHARE * 100} % of ${model} (${mebibytes(size)}) in the memory of a GPU, got: ${part}`,
    "see its log for why: too little free GPU memory, a driver that is too old, or no GPU in its container",
  );
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function judgeAnswer(
  base: string,
  what: string,
  evidence: HttpEvidence,
): { readonly json: Json } | { readonly outcome: Outcome } {
  const where = base + what;
  if ("error" in evidence) {
    const foreignBytes = /^HPE_INVALID_(CONSTANT|VERSION)$/.test(evidence.error.code);
    return { outcome: foreignBytes ? foreign(base, "its answer is not HTTP") : judgeNoAnswer(where, evidence.error) };
  }
  const { status, body } = evidence;
  const json = jsonObject(body);
  if (status === 200) return json ? { json } : { outcome: foreign(base, `${what} is no JSON object`) };
  const said = json?.["error"];
  if (typeof said !== "string") return { outcome: foreign(base, `${what} answered ${status}`) };
  return { outcome: judgeError(`${where} answered ${status}: ${said.slice(0, 300)}`, status, said) };
}

/** In Ollama's own words: what cannot come right by itself. */
function judgeError(words: string, status: number, said: string): Outcome {
  if (said.includes("requires more system memory")) {
    return failed(words, "free some memory, or take a smaller model, `contextLength` or `numParallel`");
  }
  // 503: the queue is full; other 5xx: the model's process ended, and the next request starts another.
  return status >= 500 ? pending(words) : failed(words);
}

function foreign(base: string, what: string): Outcome {
  return failed(`another server answers on ${base}: ${what}`, `see who listens: ss -ltnp 'sport = :${portOf(base)}'`);
}

const portOf = (base: string): string => new URL(base).port || "80";

const placeOf = (url: string): string => shownUrl(url).replace(/\/+$/, "");

const listOf = (value: unknown): readonly Json[] =>
  Array.isArray(value) ? value.filter((one): one is Json => typeof one === "object" && one !== null) : [];

const isListed = (model: { name: unknown; digest: unknown }): model is ListedModel =>
  typeof model.name === "string" && typeof model.digest === "string";
