// Against a real Ollama on the CPU, with the small model of this repository. Does not prove anything about a GPU, about
// Ollama's own registry (one of this test stands in, over the same protocol), or about models of embeddings.
import { copyFileSync, createReadStream, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listModels, probeOllama } from "#checks/ollama.ts";
import { runCheck } from "#checks/run.ts";
import { bringModel, removeModel, type Bringing, type Step } from "#providers/ollama-api.ts";
import type { OllamaModelSpec } from "#providers/resources.ts";
import { describeWithOllama } from "#tests/support/ollama.ts";
import { modelFile, serveHttp, startOllama, temporaryDir, type LocalServer } from "#tests/support/servers.ts";

const never = new AbortController().signal;
const bytes = statSync(modelFile).size;
type Ollama = Awaited<ReturnType<typeof startOllama>>;
let server: Ollama;
/** Pulls what `server` has. */
let customer: Ollama;
let scratch: Awaited<ReturnType<typeof temporaryDir>>;

const spec = (name: string, more: Partial<OllamaModelSpec> = {}): OllamaModelSpec => ({ name, ...more });
const file = (path = modelFile) => ({ path, missing: "fail" as const, stableSeconds: 0 });

interface Asked {
  readonly by?: Ollama;
  readonly known?: string;
  readonly steps?: Step[];
  readonly signal?: AbortSignal;
  readonly cacheFile?: string;
}

const bring = (model: OllamaModelSpec, { by = server, known, steps, signal = never, cacheFile }: Asked = {}) =>
  bringModel({
    url: by.url,
    model,
    known,
    signal,
    cacheFile: cacheFile ?? join(scratch.path, "hashes.json"),
    onStep: (step) => steps?.push(step),
  } satisfies Bringing);

const digestOf = async (name: string, by = server) =>
  (await listModels(by.url, never))?.find((model) => model.name === name)?.digest;

/** How often the server was asked for this path, by its own log. */
const asked = (path: string, by = server) =>
  by
    .log()
    .split("\n")
    .filter((line) => line.includes(`"${path}`)).length;

describeWithOllama("Ollama", () => {
  beforeAll(async () => {
    [server, customer, scratch] = await Promise.all([startOllama(), startOllama(), temporaryDir()]);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await customer[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  describe("a model that is made of a file", () => {
    it("is sent, and has a digest", async () => {
      const steps: Step[] = [];
      const outcome = await bring(spec("small:latest", { file: file() }), { steps });
      expect(outcome).toEqual({ status: "ready", detail: await digestOf("small:latest") });
      expect(steps).toContainEqual({ status: "sending gemma-3-270m-q4_k_m.gguf", completed: bytes, total: bytes });
      expect(steps.at(-1)).toEqual({ status: "success" });
    });

    it("is left alone where it is the one that was made", async () => {
      const known = (await digestOf("small:latest")) ?? "";
      const before = asked("/api/create");
      expect(await bring(spec("small:latest", { file: file() }), { known })).toEqual({
        status: "ready",
        detail: known,
      });
      expect(asked("/api/create")).toBe(before);
    });

    it("is made again, and not sent again, where somebody made it otherwise", async () => {
      const known = (await digestOf("small:latest")) ?? "";
      await bring(spec("small:latest", { file: file(), system: "Be rude." }));
      expect(await digestOf("small:latest")).not.toBe(known);
      const steps: Step[] = [];
      const outcome = await bring(spec("small:latest", { file: file() }), { known, steps });
      expect(outcome).toEqual({ status: "ready", detail: known });
      expect(steps.filter(({ status }) => status?.startsWith("sending"))).toEqual([]);
    });

    it("has its template and its words", async () => {
      const words = { template: "<q>{{ .Prompt }}</q>", system: "Be brief." };
      await bring(spec("words:v1", { file: file(), ...words }));
      const shown = await fetch(`${server.url}/api/show`, {
        method: "POST",
        body: JSON.stringify({ model: "words:v1" }),
      });
      expect(await shown.json()).toMatchObject(words);
    });

    it("is not made of a file that changed after it was hashed", async () => {
      const path = join(scratch.path, "changed.gguf");
      const cacheFile = join(scratch.path, "lies.json");
      copyFileSync(modelFile, path);
      await bring(spec("changed:1", { file: file(path) }), { cacheFile });
      const [entry] = JSON.parse(readFileSync(cacheFile, "utf8")) as [Record<string, unknown>];
      writeFileSync(cacheFile, JSON.stringify([{ ...entry, sha256: "0".repeat(64) }]));
      expect(await bring(spec("changed:2", { file: file(path) }), { cacheFile })).toMatchObject({
        status: "pending",
        reason: expect.stringContaining("digest mismatch") as string,
      });
    });

    it("is refused where the file is no whole model", async () => {
      const path = join(scratch.path, "cut.gguf");
      copyFileSync(modelFile, path);
      truncateSync(path, 1000);
      expect((await bring(spec("cut:latest", { file: file(path) }))).status).not.toBe("ready");
      expect(await digestOf("cut:latest")).toBeUndefined();
    });
  });

  /** A registry over plain HTTP that has one model: `small` as the server under test keeps it. */
  function registry(serve: (request: IncomingMessage, response: ServerResponse, path: string) => boolean) {
    const store = join(server.dir, "models");
    return serveHttp((request, response) => {
      const path = request.url ?? "";
      if (serve(request, response, path)) return;
      const [, place, sha256] = /\/(blobs|data)\/sha256:([0-9a-f]+)$/.exec(path) ?? [];
      if (place === "blobs" && request.method === "GET") {
        // As Ollama's own: the content lies with somebody else.
        const port = String(request.socket.localPort);
        response.writeHead(307, { location: `http://localhost:${port}/data/sha256:${sha256 ?? ""}` }).end();
        return;
      }
      const manifest = path.endsWith("/v2/library/shared/manifests/latest");
      if (sha256 === undefined && !manifest) {
        response.writeHead(404).end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "unknown" }] }));
        return;
      }
      const found = manifest
        ? join(store, "manifests", "registry.ollama.ai", "library", "shared", "latest")
        : join(store, "blobs", `sha256-${sha256 ?? ""}`);
      const { size } = statSync(found);
      const [, from = "0", to = String(size - 1)] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      const length = Number(to) - Number(from) + 1;
      response.writeHead(request.headers.range ? 206 : 200, { "content-length": length });
      if (request.method === "HEAD") response.end();
      else createReadStream(found, { start: Number(from), end: Number(to) }).pipe(response);
    });
  }
  const nameIn = ({ port }: LocalServer, model = "shared") => `http://127.0.0.1:${port}/library/${model}:latest`;

  describe("a model that is pulled", () => {
    beforeAll(async () => {
      // Its name says where it would come from.
      await bring(spec("shared:latest", { file: file(), system: "Only to be another one." }));
    });

    it("comes with progress, also when the line breaks, and is not pulled again", async () => {
      let broken = 0;
      await using shop = await registry((_request, response, path) => {
        if (!path.startsWith("/data/") || broken > 0) return false;
        broken += 1;
        response.destroy();
        return true;
      });
      const name = nameIn(shop);
      const steps: Step[] = [];
      const outcome = await bring(spec(name), { by: customer, steps });
      const short = name.slice("http://".length);
      expect(outcome).toEqual({ status: "ready", detail: await digestOf(short, customer) });
      expect(broken).toBe(1);
      expect(steps[0]).toEqual({ status: "pulling manifest" });
      expect(steps.at(-1)).toEqual({ status: "success" });
      expect(steps.find(({ total }) => total === bytes)?.status).toMatch(/^pulling /);
      const before = asked("/api/pull", customer);
      expect(await bring(spec(name), { by: customer })).toEqual(outcome);
      expect(asked("/api/pull", customer)).toBe(before);
    });

    it("is refused for good where no registry has it", async () => {
      await using shop = await registry(() => false);
      expect(await bring(spec(nameIn(shop, "nope")), { by: customer })).toMatchObject({ status: "failed" });
    });

    it("may come later where the registry does not answer", async () => {
      const shop = await registry(() => false);
      await shop[Symbol.asyncDispose]();
      expect(await bring(spec(nameIn(shop)), { by: customer })).toMatchObject({
        status: "pending",
        reason: expect.stringContaining("connection refused") as string,
      });
    });

    it("is given up when nobody waits for it any more", async () => {
      const asks = Promise.withResolvers<undefined>();
      await using shop = await registry((_request, _response, path) => {
        if (!path.includes("/manifests/")) return false;
        asks.resolve(undefined);
        return true;
      });
      const cancel = new AbortController();
      const outcome = bring(spec(nameIn(shop)), { by: customer, signal: cancel.signal });
      await asks.promise;
      cancel.abort();
      expect(await outcome).toMatchObject({
        status: "pending",
        reason: expect.stringContaining("broke off") as string,
      });
    });
  });

  describe("the check", () => {
    const policy = { timeoutMs: 60_000, attemptMs: 60_000 };
    const check = (models: readonly string[], more = {}) =>
      runCheck({ kind: "ollama", url: server.url, models, ...more }, policy).then(({ outcome }) => outcome);

    it("is a token of the first model", async () =>
      expect(await check(["small:latest", "words:v1"])).toEqual({
        status: "ready",
        detail: `${server.url} generated a token with small:latest`,
      }));

    it("is an answer where no models are wanted", async () =>
      expect(await check([])).toEqual({ status: "ready", detail: `${server.url} answers, and was to have no models` }));

    it("fails where one is missing", async () =>
      expect(await check(["small:latest", "nope:latest"])).toEqual({
        status: "failed",
        reason: `${server.url} does not have nope:latest`,
        fix: "./engineroom up",
      }));

    it("says that a model runs on the CPU where a GPU was wanted", async () =>
      expect(await check(["small:latest"], { gpu: { required: true } })).toMatchObject({
        status: "failed",
        reason: expect.stringMatching(
          /expected 98 % of small:latest \(\d+ MiB\) in the memory of a GPU, got: it runs on the CPU/,
        ) as string,
      }));

    it("asks for no token where it is to be quick", async () => {
      const before = asked("/api/generate");
      expect(await probeOllama({ kind: "ollama", url: server.url, models: ["small:latest"] }, never, true)).toEqual({
        status: "ready",
        detail: `${server.url} has small:latest`,
      });
      expect(asked("/api/generate")).toBe(before);
    });

    it("knows a server of another kind", async () => {
      await using other = await serveHttp((_request, response) => response.writeHead(404).end("nothing here"));
      const outcome = await probeOllama({ kind: "ollama", url: other.url, models: [] }, never);
      expect(outcome).toMatchObject({
        status: "failed",
        reason: expect.stringContaining("another server answers") as string,
      });
    });
  });

  it("a model is removed", async () => {
    await removeModel(server.url, "words:v1", never);
    await expect.poll(() => digestOf("words:v1")).toBeUndefined();
  });
});
