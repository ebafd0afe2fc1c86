import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import {
  judgeLlamaAlias,
  judgeLlamaEmbedding,
  judgeLlamaHealth,
  judgeLlamaProps,
  judgeLlamaToken,
  probeLlamaServer,
} from "#checks/llama-server.ts";
import { serveHttp, temporaryDir, writeFor } from "#tests/support/servers.ts";

const check = { kind: "llama-server", url: "http://127.0.0.1:8080", alias: "gemma", contextSize: 1000 } as const;
const url = "http://127.0.0.1:8080";
const fix = "see who listens: ss -ltnp 'sport = :8080'";
const answer = (status: number, json: unknown) => ({ status, headers: {}, body: JSON.stringify(json) });
const error = (message: string) => ({ error: { message } });
const foreign = (what: string) => failed(`another server answers on ${url}: ${what}`, fix);

type Judge = (...args: Parameters<typeof judgeLlamaHealth>) => Outcome | undefined;
type Case = [name: string, Judge, evidence: Parameters<Judge>[1], Outcome | undefined];

const props = (n_ctx: unknown, total_slots: unknown, more = {}) =>
  answer(200, { default_generation_settings: { n_ctx }, total_slots, ...more });
const wrongSize = (got: string) =>
  failed(
    `${url}: expected a context of 1000 tokens, got ${got}`,
    "lower `contextSize` to what the model and the memory allow, or turn --fit off",
  );

const cases: Case[] = [
  ["healthy", judgeLlamaHealth, answer(200, { status: "ok" }), undefined],
  [
    "loading",
    judgeLlamaHealth,
    answer(503, error("Loading model")),
    pending(`${url}/health answered 503: Loading model`),
  ],
  ["busy", judgeLlamaHealth, answer(429, {}), pending(`${url}/health answered 429`)],
  ["another health", judgeLlamaHealth, answer(200, {}), foreign("/health has no status")],
  ["HTML", judgeLlamaHealth, { status: 200, headers: {}, body: "<html>" }, foreign("/health is no JSON object")],
  ["no health", judgeLlamaHealth, answer(404, {}), foreign(`${url}/health answered 404`)],
  [
    "refused",
    judgeLlamaHealth,
    { error: { code: "ECONNREFUSED", message: "" } },
    pending(`${url}/health refused the connection`),
  ],
  [
    "no HTTP",
    judgeLlamaHealth,
    { error: { code: "HPE_INVALID_CONSTANT", message: "" } },
    foreign("its answer is not HTTP"),
  ],
  ["its alias", judgeLlamaAlias, answer(200, { data: [{ id: "other" }, { id: "gemma" }] }), undefined],
  [
    "another alias",
    judgeLlamaAlias,
    answer(200, { data: [{ id: "qwen" }] }),
    foreign('expected the model "gemma", got "qwen"'),
  ],
  ["no models", judgeLlamaAlias, answer(200, {}), foreign('expected the model "gemma", got no model')],
  ["the declared size", judgeLlamaProps, props(1000, 1), undefined],
  ["a rounded size", judgeLlamaProps, props(1024, 4), undefined],
  ["a size divided by slots", judgeLlamaProps, props(256, 4), undefined],
  ["a smaller size", judgeLlamaProps, props(512, 1), wrongSize("512 in each of 1 slots")],
  ["a larger size", judgeLlamaProps, props(32768, 1), wrongSize("32768 in each of 1 slots")],
  ["no size", judgeLlamaProps, answer(200, {}), foreign("/props names no context size")],
  [
    "asleep",
    judgeLlamaProps,
    props(1024, 1, { is_sleeping: true }),
    ready(`${url} serves gemma, asleep: a token would wake it, so none was asked for`),
  ],
  ["a token", judgeLlamaToken, answer(200, { tokens_predicted: 1 }), ready(`${url} generated a token with gemma`)],
  [
    "no token",
    judgeLlamaToken,
    answer(200, { tokens_predicted: 0 }),
    pending(`${url}/completion answered 200 without a token`),
  ],
  [
    "no key",
    judgeLlamaToken,
    answer(401, error("Invalid API Key")),
    failed(`${url}/completion answered 401: Invalid API Key`, "make the check's key file hold a key of the server"),
  ],
  [
    "no generation",
    judgeLlamaToken,
    answer(501, error("This server does not support completions")),
    foreign(`${url}/completion answered 501: This server does not support completions`),
  ],
  [
    "an embedding",
    judgeLlamaEmbedding,
    answer(200, { data: [{ embedding: [0, 0.5] }] }),
    ready(`${url} made an embedding of 2 numbers with gemma`),
  ],
  [
    "an embedding of nothing",
    judgeLlamaEmbedding,
    answer(200, { data: [{ embedding: [0, 0] }] }),
    pending(`${url}/v1/embeddings answered 200 without an embedding`),
  ],
  [
    "no pooling",
    judgeLlamaEmbedding,
    answer(400, error("Pooling type 'none' is not OAI compatible.")),
    failed(
      `${url}/v1/embeddings answered 400: Pooling type 'none' is not OAI compatible.`,
      "take a model that makes embeddings, or set `args: [--pooling, mean]`",
    ),
  ],
  ["no embeddings here", judgeLlamaEmbedding, answer(404, {}), foreign(`${url}/v1/embeddings answered 404`)],
];

describe("judges of llama-server", () => {
  it.each(cases)("%s", (_, judge, evidence, outcome) => {
    expect(judge(check, evidence)).toEqual(outcome);
  });

  it("takes any size where none is declared", () => {
    expect(judgeLlamaProps({ ...check, contextSize: 0 }, props(4096, 4))).toBeUndefined();
  });
});

describe("probeLlamaServer", () => {
  it("sends the first key of the key file, and shows it to nobody", async () => {
    await using dir = await temporaryDir();
    const apiKeyFile = writeFor(dir.path, "keys", "# comment\n\nsecret-key\nother\n");
    const paths: string[] = [];
    await using server = await serveHttp((request, response) => {
      const { url: path = "", headers } = request;
      paths.push(path);
      response.setHeader("content-type", "application/json");
      if (path === "/health") response.end(`{"status":"ok"}`);
      else if (path === "/v1/models") response.end(`{"data":[{"id":"gemma"}]}`);
      else if (path === "/props") response.end(`{"default_generation_settings":{"n_ctx":1024},"total_slots":1}`);
      else response.writeHead(500).end(JSON.stringify(error(`echo ${headers.authorization ?? "nothing"}`)));
    });
    const outcome = await probeLlamaServer({ ...check, url: server.url, apiKeyFile }, AbortSignal.timeout(2000));
    expect(outcome).toEqual(pending(`${server.url}/completion answered 500: echo Bearer (secret)`));
    expect(paths).toEqual(["/health", "/v1/models", "/props", "/completion"]);
  });

  it("fails where the key file is missing or holds no key", async () => {
    await using dir = await temporaryDir();
    const empty = writeFor(dir.path, "keys", "# only a comment\n");
    const signal = AbortSignal.timeout(2000);
    expect(await probeLlamaServer({ ...check, apiKeyFile: empty }, signal)).toEqual(
      failed(`the key file ${empty} holds no key`, "put one in it"),
    );
    const outcome = await probeLlamaServer({ ...check, apiKeyFile: `${empty}x` }, signal);
    expect(outcome).toMatchObject({ status: "failed", reason: expect.stringContaining("does not exist") as string });
  });
});
