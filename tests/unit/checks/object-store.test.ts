import { describe, expect, it } from "vitest";
import { failed, pending } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgeStoreAnswer } from "#checks/object-store.ts";

const check = {
  kind: "object-store",
  url: "http://127.0.0.1:9000",
  region: "us-east-1",
  accessKey: "app",
  secretKeyFile: "/run/key",
  buckets: ["lab"],
} as const;
const where = "http://127.0.0.1:9000/";
const answer = (status: number, code = "", headers = {}): HttpEvidence => ({
  status,
  headers,
  body: code === "" ? "<html>" : `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>m</Message></Error>`,
});
const login = "make /run/key hold the secret key that the server was started with";
const foreign = failed(
  `another program answers on ${where}: its answer is not in the S3 protocol`,
  "see who listens: ss -ltnp 'sport = :9000'",
);

const cases: [string, HttpEvidence, Outcome | undefined][] = [
  ["success", answer(200), undefined],
  ["an object that is gone", answer(204), undefined],
  ["a start that is not over", answer(503, "SlowDown"), pending(`${where} answered 503 to PUT`)],
  [
    "another secret",
    answer(403, "SignatureDoesNotMatch"),
    failed(`${where} refused the access key app: SignatureDoesNotMatch`, login),
  ],
  [
    "another access key",
    answer(403, "InvalidAccessKeyId"),
    failed(`${where} refused the access key app: InvalidAccessKeyId`, login),
  ],
  [
    "no bucket",
    answer(404, "NoSuchBucket"),
    failed(`${where} has no bucket lab`, "./engineroom up makes the buckets of `buckets`"),
  ],
  ["another error", answer(400, "InvalidRequest"), pending(`${where} answered 400 InvalidRequest to PUT`)],
  ["a web server", answer(404), foreign],
  ["no HTTP at all", { error: { code: "HPE_INVALID_CONSTANT", message: "" } }, foreign],
  ["nobody", { error: { code: "ECONNREFUSED", message: "" } }, pending(`${where} refused the connection`)],
];

describe("judgeStoreAnswer", () => {
  it.each(cases)("%s", (_, evidence, outcome) =>
    expect(judgeStoreAnswer(check, { method: "PUT", bucket: "lab", evidence })).toEqual(outcome),
  );
});
