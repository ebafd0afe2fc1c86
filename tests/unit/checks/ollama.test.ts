import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import {
  findModel,
  judgeBringing,
  judgeCapabilities,
  judgeEmbedding,
  judgeMissing,
  judgeTags,
  judgeToken,
  judgeVersion,
  judgeVram,
} from "#checks/ollama.ts";

const url = "http://127.0.0.1:11434";
const answer = (status: number, json: unknown): HttpEvidence => ({ status, headers: {}, body: JSON.stringify(json) });
const refused: HttpEvidence = { error: { code: "ECONNREFUSED", message: "" } };
const foreign = (what: string) =>
  failed(`another server answers on ${url}: ${what}`, "see who listens: ss -ltnp 'sport = :11434'");
const listed = (...names: string[]) => names.map((name) => ({ name, digest: "abc" }));

/** What a rung lets through to the next shows as undefined. */
const outcomeOf = (found: object | undefined): unknown => (found && "outcome" in found ? found.outcome : found);

describe("what is asked first", () => {
  it.each<[string, HttpEvidence, Outcome | undefined]>([
    ["a version", answer(200, { version: "0.17.4" }), undefined],
    ["no version", answer(200, {}), foreign("/api/version names no version")],
    ["a page", { status: 200, headers: {}, body: "<html>" }, foreign("/api/version is no JSON object")],
    ["another server's 404", { status: 404, headers: {}, body: "nope" }, foreign("/api/version answered 404")],
    ["no answer yet", refused, pending(`${url}/api/version refused the connection`)],
    ["bytes", { error: { code: "HPE_INVALID_CONSTANT", message: "" } }, foreign("its answer is not HTTP")],
    ["a full queue", answer(503, { error: "server busy" }), pending(`${url}/api/version answered 503: server busy`)],
  ])("%s", (_what, evidence, outcome) => expect(judgeVersion(url, evidence)).toEqual(outcome));
});

describe("its models", () => {
  it.each<[string, HttpEvidence, unknown]>([
    ["none", answer(200, { models: [] }), { models: [] }],
    ["one", answer(200, { models: [{ name: "a:latest", digest: "abc", size: 5 }] }), { models: listed("a:latest") }],
    ["null, as older ones say for none", answer(200, { models: null }), { models: [] }],
    ["without names", answer(200, { models: [{ id: 1 }] }), foreign("/api/tags lists no models")],
    ["no answer", refused, pending(`${url}/api/tags refused the connection`)],
  ])("%s", (_what, evidence, expected) => expect(outcomeOf(judgeTags(url, evidence))).toEqual(expected));

  it.each<[string, readonly string[], Outcome | undefined]>([
    ["all there", ["a:latest"], undefined],
    ["two missing", ["a:latest", "b:1", "c:2"], failed(`${url} does not have b:1, c:2`, "./engineroom up")],
  ])("%s", (_what, models, outcome) =>
    expect(judgeMissing({ kind: "ollama", url, models }, listed("a:latest"))).toEqual(outcome),
  );

  it.each([
    ["Gemma2:2B", "gemma2:2b"],
    ["gemma2:2b", "registry.ollama.ai/library/gemma2:2b"],
    ["127.0.0.1:5000/library/x:latest", "http://127.0.0.1:5000/library/x:latest"],
    ["hf.co/me/model:Q4_K_M", "hf.co/me/model:Q4_K_M"],
  ])("%s is %s", (name, wanted) => expect(findModel(listed(name), wanted)?.name).toBe(name));
  it("another tag is another model", () => expect(findModel(listed("a:1"), "a:2")).toBeUndefined());
});

describe("a unit of work", () => {
  it.each<[readonly string[] | undefined, string]>([
    [["completion"], "completion"],
    [["completion", "embedding"], "completion"],
    [["embedding"], "embedding"],
    [undefined, "completion"],
  ])("of a model with %j is %s", (capabilities, does) =>
    expect(judgeCapabilities(url, "a", answer(200, { capabilities }))).toEqual({ does }),
  );

  const answered = (what: string, status: number, said: string) => `${url}${what} answered ${status}: ${said}`;
  const generate = "/api/generate with a";
  const more = "model requires more system memory (9.1 GiB) than is available (2.0 GiB)";
  it.each<[string, HttpEvidence, Outcome]>([
    ["a token", answer(200, { done: true, eval_count: 1 }), ready(`${url} generated a token with a`)],
    [
      "only loaded",
      answer(200, { done: true, done_reason: "load" }),
      pending(`${url}/api/generate answered 200 without a token of a`),
    ],
    [
      "not there",
      answer(404, { error: "model 'a' not found" }),
      failed(answered(generate, 404, "model 'a' not found")),
    ],
    [
      "too large",
      answer(500, { error: more }),
      failed(
        answered(generate, 500, more),
        "free some memory, or take a smaller model, `contextLength` or `numParallel`",
      ),
    ],
    [
      "its process ended",
      answer(500, { error: "llama runner process has terminated" }),
      pending(answered(generate, 500, "llama runner process has terminated")),
    ],
  ])("%s", (_what, evidence, outcome) => expect(judgeToken(url, "a", evidence)).toEqual(outcome));

  it.each<[string, HttpEvidence, Outcome]>([
    ["an embedding", answer(200, { embeddings: [[1, 2, 3]] }), ready(`${url} made an embedding of 3 numbers with a`)],
    ["none", answer(200, { embeddings: [] }), pending(`${url}/api/embed answered 200 without an embedding of a`)],
    ["nothing", answer(200, {}), pending(`${url}/api/embed answered 200 without an embedding of a`)],
  ])("%s", (_what, evidence, outcome) => expect(judgeEmbedding(url, "a", evidence)).toEqual(outcome));
});

// Recorded answers of /api/ps: what a GPU itself does is not proven here.
describe("the share of a model on a GPU", () => {
  const ps = (size: unknown, size_vram?: unknown) => answer(200, { models: [{ name: "a:latest", size, size_vram }] });
  const few = (got: string) =>
    failed(
      `${url}: expected 98 % of a:latest (100 MiB) in the memory of a GPU, got: ${got}`,
      "see its log for why: too little free GPU memory, a driver that is too old, or no GPU in its container",
    );
  const MIB_100 = 100 * 2 ** 20;
  it.each<[string, HttpEvidence, Outcome | undefined]>([
    ["all", ps(MIB_100, MIB_100), undefined],
    ["all but a table of words", ps(MIB_100, 98 * 2 ** 20), undefined],
    ["half", ps(MIB_100, 50 * 2 ** 20), few("50 % of it")],
    ["nothing", ps(MIB_100, 0), few("it runs on the CPU")],
    ["nothing, left out", ps(MIB_100), few("it runs on the CPU")],
    ["not loaded", answer(200, { models: [] }), pending(`${url}/api/ps does not show a:latest loaded`)],
    ["of no size", ps("x"), pending(`${url}/api/ps does not show a:latest loaded`)],
  ])("%s", (_what, evidence, outcome) => expect(judgeVram(url, "a:latest", evidence)).toEqual(outcome));
});

describe("a model that could not be brought", () => {
  it.each<[string, string, "failed" | "pending", string | undefined]>([
    [
      "of no such name",
      "pull model manifest: file does not exist",
      "failed",
      "correct the name; https://ollama.com/library lists those of its own registry",
    ],
    ["without TLS", "insecure protocol http", "failed", "write http:// before the name of a registry without TLS"],
    ["on a full disk", "write blob: no space left on device", "failed", "free some space where its data lies"],
    [
      "of a newer kind",
      "pull model manifest: 412: The model you are attempting to pull requires a newer version of Ollama.",
      "failed",
      "take another build of the model, or a newer Ollama",
    ],
    ["from nowhere", "pull model manifest: dial tcp: lookup registry.ollama.ai: no such host", "pending", undefined],
    ["damaged on its way", "digest mismatch, file must be downloaded again", "pending", undefined],
  ])("%s", (_what, said, status, fix) =>
    expect(judgeBringing("a:latest", said)).toEqual({
      status,
      reason: `a:latest: the server said: ${said}`,
      ...(fix && { fix }),
    }),
  );
});
