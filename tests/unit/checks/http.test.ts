import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { judgeHttp, probeHttp } from "#checks/http.ts";
import { serveHttp, serveSilence, serveTcp } from "#tests/support/servers.ts";

const check = { kind: "http", url: "http://user:pw@127.0.0.1:8080/health?token=x" } as const;
const where = "http://127.0.0.1:8080/health";
const answer = (status: number, body = "", headers: IncomingHttpHeaders = {}) => ({ status, body, headers });
const error = (code: string, message = "words") => ({ error: { code, message } });
const ownPort = "see who listens: ss -ltnp 'sport = :8080'";
const owner = { name: "X-Engineroom", value: "abc" };
const json = { status: "ok" };

type Case = [name: string, check: Partial<CheckOf<"http">>, evidence: Parameters<typeof judgeHttp>[1], Outcome];
const cases: Case[] = [
  ["200", {}, answer(200), ready(`${where} answered 200`)],
  ["another status than the declared", { status: 204 }, answer(200), pending(`${where} answered 200, expected 204`)],
  ["the declared status", { status: 401 }, answer(401), ready(`${where} answered 401`)],
  ["a declared 503", { status: 503 }, answer(503), ready(`${where} answered 503`)],
  ["503", {}, answer(503), pending(`${where} answered 503`)],
  ["500 of a stranger", { header: owner }, answer(500), pending(`${where} answered 500`)],
  ["429", {}, answer(429), pending(`${where} answered 429, expected 200`)],
  ["404", {}, answer(404), failed(`${where} answered 404, expected 200`, "correct the path in `health`")],
  [
    "401",
    {},
    answer(401),
    failed(`${where} answered 401, expected 200`, "name a path in `health` that needs no login"),
  ],
  [
    "a redirect",
    {},
    answer(302, "", { location: "/login?next=secret" }),
    failed(`${where} redirects (302) to http://127.0.0.1:8080/login`, "name a path in `health` that answers by itself"),
  ],
  [
    "a redirect, even when declared",
    { status: 301 },
    answer(301),
    failed(`${where} redirects (301) to nowhere`, "name a path in `health` that answers by itself"),
  ],
  ["the pairs", { json }, answer(200, `{"status":"ok","more":1}`), ready(`${where} answered 200 with "status": "ok"`)],
  [
    "a pair of another value",
    { json },
    answer(200, `{"status":"starting"}`),
    pending(`${where}: expected "status": "ok", got "starting"`),
  ],
  [
    "a pair of another type",
    { json: { up: true } },
    answer(200, `{"up":"true"}`),
    pending(`${where}: expected "up": true, got "true"`),
  ],
  ["no pair", { json }, answer(200, `{}`), pending(`${where}: expected "status": "ok", got no such key`)],
  [
    "an object as value",
    { json },
    answer(200, `{"status":{}}`),
    pending(`${where}: expected "status": "ok", got an object or a list`),
  ],
  [
    "HTML instead of JSON",
    { json },
    answer(200, "<html>PASSWORD=x", { "content-type": "text/html" }),
    pending(`${where} answered 200 with text/html that is no JSON object`),
  ],
  ["a JSON list", { json }, answer(200, "[]"), pending(`${where} answered 200 with a body that is no JSON object`)],
  ["the right header", { header: owner }, answer(200, "", { "x-engineroom": "abc" }), ready(`${where} answered 200`)],
  [
    "another header",
    { header: owner },
    answer(200, "", { "x-engineroom": "def" }),
    failed(`another program answers on ${where}: expected the header X-Engineroom: abc, but it sent "def"`, ownPort),
  ],
  [
    "404 without the header",
    { header: owner },
    answer(404),
    failed(
      `another program answers on ${where}: expected the header X-Engineroom: abc, but it did not send it`,
      ownPort,
    ),
  ],
  ["refused", {}, error("ECONNREFUSED"), pending(`${where} refused the connection`)],
  ["reset", {}, error("ECONNRESET"), pending(`${where} closed the connection without an answer`)],
  ["a hang", {}, error("TIMEOUT", "no answer in time"), pending(`${where} gave no answer in time`)],
  ["no such host", {}, error("ENOTFOUND"), pending(`${where}: the host name has no address`)],
  ["something else", {}, error("EWHATEVER"), pending(`${where}: words`)],
  [
    "no HTTP",
    {},
    error("HPE_INVALID_CONSTANT"),
    failed(`${where} answered, but not in HTTP: another program has the port`, ownPort),
  ],
  [
    "an untrusted certificate",
    {},
    error("DEPTH_ZERO_SELF_SIGNED_CERT"),
    failed(
      `${where} has a certificate that is not trusted here (DEPTH_ZERO_SELF_SIGNED_CERT)`,
      "set NODE_EXTRA_CA_CERTS",
    ),
  ],
];

describe("judgeHttp", () => {
  it.each(cases)("%s", (_, more, evidence, outcome) => {
    expect(judgeHttp({ ...check, ...more }, evidence)).toEqual(outcome);
  });
});

describe("probeHttp", () => {
  const soon = () => AbortSignal.timeout(150);

  it("is ready at the right status and pairs", async () => {
    await using server = await serveHttp((_, response) => response.end(`{"status":"ok"}`));
    const url = `${server.url}/`;
    expect(await probeHttp({ kind: "http", url, json }, soon())).toEqual(
      ready(`${url} answered 200 with "status": "ok"`),
    );
  });

  it("is pending when the server accepts and never answers", async () => {
    await using server = await serveSilence();
    expect(await probeHttp({ kind: "http", url: server.url }, soon())).toEqual(
      pending(`${server.url}/ gave no answer in time`),
    );
  });

  it("is pending when the connection is reset", async () => {
    await using server = await serveTcp((socket) => socket.on("data", () => socket.resetAndDestroy()));
    expect(await probeHttp({ kind: "http", url: server.url }, soon())).toEqual(
      pending(`${server.url}/ closed the connection without an answer`),
    );
  });

  it("does not wait for a slow body that it does not need, and waits no longer than its limit for one that it does", async () => {
    await using server = await serveHttp((_, response) => response.writeHead(200).write("{"));
    const { url } = server;
    expect(await probeHttp({ kind: "http", url }, soon())).toEqual(ready(`${url}/ answered 200`));
    expect(await probeHttp({ kind: "http", url, json }, soon())).toEqual(pending(`${url}/ gave no answer in time`));
  });

  it("follows no redirect", async () => {
    await using server = await serveHttp((request, response) => {
      if (request.url === "/ok") response.end("ok");
      else response.writeHead(307, { location: "/ok" }).end();
    });
    expect((await probeHttp({ kind: "http", url: server.url }, soon())).status).toBe("failed");
  });

  it("is pending at 200 with the wrong body", async () => {
    await using server = await serveHttp((_, response) => response.end("Ollama is running"));
    const outcome = await probeHttp({ kind: "http", url: server.url, json }, soon());
    expect(outcome).toEqual(pending(`${server.url}/ answered 200 with a body that is no JSON object`));
  });

  it("names what answers no HTTP", async () => {
    await using server = await serveTcp((socket) => socket.on("data", () => socket.end("-ERR unknown command\r\n")));
    const outcome = await probeHttp({ kind: "http", url: server.url }, soon());
    expect(outcome).toMatchObject({ status: "failed", reason: expect.stringContaining("not in HTTP") as string });
  });

  it("reads no endless body", async () => {
    await using server = await serveHttp((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
      };
      response.on("drain", more);
      more();
    });
    const outcome = await probeHttp({ kind: "http", url: server.url, json }, AbortSignal.timeout(5000));
    expect(outcome).toEqual(pending(`${server.url}/ answered 200 with a body that is no JSON object`));
  });

  it.each(["nonsense", "ftp://127.0.0.1/"])("fails at %s", async (url) => {
    expect(await probeHttp({ kind: "http", url }, soon())).toMatchObject({
      status: "failed",
      fix: "name the health path in `health`",
    });
  });
});
