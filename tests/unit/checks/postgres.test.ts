import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { judgePostgres } from "#checks/postgres.ts";

const check = { kind: "postgres", host: "127.0.0.1", port: 5432, user: "app", database: "main" } as const;
const where = "127.0.0.1:5432";
const error = (code: string, message = "words") => ({ error: { code, message } });

const cases: [name: string, evidence: Parameters<typeof judgePostgres>[1], Outcome][] = [
  ["a row", { value: 1 }, ready(`${where} selected a row as app in main`)],
  ["another row", { value: "1" }, pending(`${where}: select 1 gave "1"`)],
  [
    "starting up",
    error("57P03", "the database system is starting up"),
    pending(`${where}: the database system is starting up`),
  ],
  ["too many connections", error("53300", "sorry"), pending(`${where}: sorry`)],
  ["refused", error("ECONNREFUSED"), pending(`${where} refused the connection`)],
  ["a hang", error("TIMEOUT", "no answer within 2.0 s"), pending(`${where} gave no answer within 2.0 s`)],
  [
    "a wrong password",
    error("28P01"),
    failed(`${where} refused the login of app: words`, "declare the password that it asks for"),
  ],
  [
    "no password",
    error("SASL"),
    failed(`${where} refused the login of app: words`, "declare the password that it asks for"),
  ],
  ["no database", error("3D000"), failed(`${where}: words`, "create it, or correct `database`: expected main")],
  [
    "another protocol",
    error("NOT_POSTGRES"),
    failed(
      `another program answers on ${where}: its answer is not in the PostgreSQL protocol`,
      "see who listens: ss -ltnp 'sport = :5432'",
    ),
  ],
];

describe("judgePostgres", () => {
  it.each(cases)("%s", (_, evidence, outcome) => {
    expect(judgePostgres(check, evidence)).toEqual(outcome);
  });
});
