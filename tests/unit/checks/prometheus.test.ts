import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgePrometheusQuery, judgePrometheusReady } from "#checks/prometheus.ts";

const check = { kind: "prometheus", url: "http://127.0.0.1:9090" } as const;
const foreign = failed(
  "another program answers on http://127.0.0.1:9090/: it is no Prometheus",
  "see who listens: ss -ltnp 'sport = :9090'",
);
const answer = (status: number, body = ""): HttpEvidence => ({ status, headers: {}, body });
const result = (...values: readonly string[]) =>
  JSON.stringify({ status: "success", data: { result: values.map((value) => ({ metric: {}, value: [1, value] })) } });

describe("judgePrometheusReady", () => {
  it.each<[string, HttpEvidence, Outcome | undefined]>([
    ["ready", answer(200), undefined],
    ["loading", answer(503), pending("http://127.0.0.1:9090/-/ready answered 503")],
    ["a web server", answer(404), foreign],
    ["no HTTP", { error: { code: "HPE_INVALID_CONSTANT", message: "" } }, foreign],
    [
      "nobody",
      { error: { code: "ECONNREFUSED", message: "" } },
      pending("http://127.0.0.1:9090/-/ready refused the connection"),
    ],
  ])("%s", (_, evidence, outcome) => expect(judgePrometheusReady(check, evidence)).toEqual(outcome));
});

describe("judgePrometheusQuery", () => {
  const up = (words: string) =>
    ready(`http://127.0.0.1:9090/ answered a query: ${words} targets that were asked are up`);
  it.each<[string, HttpEvidence, Outcome]>([
    ["no target asked yet", answer(200, result()), up("0 of 0")],
    ["one of two up", answer(200, result("1", "0")), up("1 of 2")],
    ["another answer", answer(200, "{}"), foreign],
    ["a series without a value", answer(200, '{"status":"success","data":{"result":[null]}}'), up("0 of 1")],
    ["too busy", answer(503), pending("http://127.0.0.1:9090/api/v1/query answered 503")],
  ])("%s", (_, evidence, outcome) => expect(judgePrometheusQuery(check, evidence)).toEqual(outcome));
});
