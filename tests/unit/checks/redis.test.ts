import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { judgeRedis, judgeRedisTrouble } from "#checks/redis.ts";
import { NotResp, RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

const check = {
  kind: "redis",
  host: "127.0.0.1",
  port: 6379,
  passwordFile: "/run/pw",
  policy: "noeviction",
} as const;
const where = "127.0.0.1:6379";
const info = "# Memory\r\nused_memory:1\r\nmaxmemory_policy:noeviction\r\nmaxmemory:0\r\n";
const error = (message: string) => new RespError(message);
const login = "declare the password that it was started with: /run/pw holds another";

const cases: [name: string, answers: { info?: Reply; set?: Reply; get?: Reply }, Outcome][] = [
  ["a key that came back", {}, ready(`${where} kept and gave back a key, eviction policy noeviction`)],
  ["another value", { get: "u" }, pending(`${where}: a key that was just set reads back as something else`)],
  ["no value", { get: null }, pending(`${where}: a key that was just set reads back as something else`)],
  ["NOAUTH", { set: error("NOAUTH needed") }, failed(`${where} refused the login: NOAUTH needed`, login)],
  ["NOPERM", { get: error("NOPERM no") }, failed(`${where} refused the login: NOPERM no`, login)],
  [
    "LOADING",
    { set: error("LOADING Redis is loading the dataset in memory") },
    pending(`${where}: LOADING Redis is loading the dataset in memory`),
  ],
  ["MISCONF", { set: error("MISCONF disk") }, pending(`${where}: MISCONF disk`)],
  ["OOM", { set: error("OOM full") }, pending(`${where}: OOM full`)],
  [
    "READONLY",
    { set: error("READONLY replica") },
    failed(`${where}: READONLY replica`, "see the server's configuration"),
  ],
  [
    "another policy",
    { info: "maxmemory_policy:allkeys-lru\r\n" },
    failed(
      `${where}: expected the eviction policy noeviction, got allkeys-lru`,
      "set maxmemory-policy noeviction in its configuration, or change `role`",
    ),
  ],
  [
    "no policy",
    { info: "" },
    failed(
      `${where}: expected the eviction policy noeviction, got none`,
      "set maxmemory-policy noeviction in its configuration, or change `role`",
    ),
  ],
];

describe("judgeRedis", () => {
  it.each(cases)("%s", (_, answers, outcome) => {
    expect(judgeRedis(check, { token: "t", info, set: "OK", get: "t", ...answers })).toEqual(outcome);
  });
});

describe("judgeRedisTrouble", () => {
  it("waits for a refused connection, and fails at another protocol", () => {
    expect(judgeRedisTrouble(check, { code: "ECONNREFUSED", message: "" })).toEqual(
      pending(`${where} refused the connection`),
    );
    expect(judgeRedisTrouble(check, new NotResp("x"))).toEqual(
      failed(
        `another program answers on ${where}: its answer is not in the Redis protocol`,
        "see who listens: ss -ltnp 'sport = :6379'",
      ),
    );
  });
});
