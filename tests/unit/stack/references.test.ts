import { describe, expect, it } from "vitest";
import { piecesOf, resolve, type Scope } from "#stack/references.ts";
import { hole, type Text } from "#stack/text.ts";

const scope: Scope = {
  self: "api",
  outputs: new Map<string, Readonly<Record<string, Text>>>([
    ["db", { url: ["postgresql://app:", hole("db.password", "url"), "@127.0.0.1:5432/app"], port: ["5432"] }],
    ["api", { port: ["8000"] }],
    ["job", {}],
  ]),
  disabled: new Set(["cache"]),
  broken: new Set(["chat"]),
  secrets: new Set(["hfToken"]),
};
const textOf = (text: string) => resolve(text, scope).text;
const problemOf = (text: string) => {
  const { problems } = resolve(text, scope);
  expect(problems).toHaveLength(1);
  return problems[0];
};

describe("a text is cut into", () => {
  it.each<[string, ReturnType<typeof piecesOf>]>([
    ["", []],
    ["plain $HOME {x} $5", ["plain $HOME {x} $5"]],
    ["${db.url}", [{ owner: "db", key: "url", optional: false }]],
    ["a${db.url?}b", ["a", { owner: "db", key: "url", optional: true }, "b"]],
    ["$${db.url}", ["${db.url}"]],
    ["$$${db.url}", ["$", "${db.url}"]],
    ["$${$${", ["${", "${"]],
    ["${}", [{ malformed: "${}" }]],
    ["${db}", [{ malformed: "${db}" }]],
    ["${db.url", [{ malformed: "${db.url" }]],
    ["${db.url.x}", [{ malformed: "${db.url.x}" }]],
    ["${ db.url }", [{ malformed: "${ db.url }" }]],
    [
      "${a.b}${c.d}",
      [
        { owner: "a", key: "b", optional: false },
        { owner: "c", key: "d", optional: false },
      ],
    ],
  ])("%j", (text, pieces) => expect(piecesOf(text)).toEqual(pieces));
});

describe("a reference becomes", () => {
  it("text with the secret left open", () =>
    expect(resolve("x=${db.url}/${db.port}", scope)).toEqual({
      text: ["x=postgresql://app:", hole("db.password", "url"), "@127.0.0.1:5432/app/5432"],
      uses: ["db"],
      problems: [],
    }));
  it("the service's own output, which orders nothing", () =>
    expect(resolve("--port=${self.port}", scope)).toEqual({ text: ["--port=8000"], uses: [], problems: [] }));
  it("a hole for a secret of the user", () => expect(textOf("${secret.hfToken}")).toEqual([hole("secret.hfToken")]));
  it("nothing, where a disabled service is optional", () =>
    expect(resolve("a${cache.url?}b", scope)).toEqual({ text: ["ab"], uses: [], problems: [] }));
  it("a literal, where it is escaped", () => expect(textOf("$${db.url}")).toEqual(["${db.url}"]));
  it("no second problem, where its owner has one", () =>
    expect(resolve("${chat.url}", scope)).toEqual({ text: [], uses: ["chat"], problems: [] }));
});

describe("what is wrong with a reference", () => {
  it("malformed", () =>
    expect(problemOf("x ${db} y")).toEqual({
      code: "REFERENCE_MALFORMED",
      expected: "`${service.output}`",
      got: "`${db}`",
      fix: "write `${name.url}`, or `$${` for a literal `${`",
    }));
  it("a service that is not there", () =>
    expect(problemOf("${bd.url}")).toEqual({
      code: "REFERENCE_UNKNOWN",
      expected: "another service of this stack (cache, db, job)",
      got: "`bd`",
      fix: "correct the name",
    }));
  it("a service that is not there, though optional: a slip of the pen must not go unseen", () =>
    expect(problemOf("${cach.url?}")).toMatchObject({ code: "REFERENCE_UNKNOWN", fix: "did you mean `cache`?" }));
  it("an output that is not there", () =>
    expect(problemOf("${db.prot}")).toEqual({
      code: "REFERENCE_UNKNOWN",
      expected: "one of url, port of `db`",
      got: "`prot`",
      fix: "did you mean `port`?",
    }));
  it("an output of a service that has none", () =>
    expect(problemOf("${job.url}")).toEqual({
      code: "REFERENCE_UNKNOWN",
      expected: "a service that offers something",
      got: "`url`",
      fix: "correct the key in `${job.url}`",
    }));
  it.each(["constructor", "toString", "hasOwnProperty"])("%s, which every object has", (key) =>
    expect(problemOf(`\${db.${key}}`)).toMatchObject({ code: "REFERENCE_UNKNOWN", got: `\`${key}\`` }),
  );
  it("a disabled service", () =>
    expect(problemOf("${cache.url}")).toEqual({
      code: "REFERENCE_DISABLED",
      expected: "an enabled service",
      got: "`cache`, which has `enabled: false`",
      fix: "set services.cache.enabled to true, or write `${cache.url?}`",
    }));
  it("a secret that nobody brings", () =>
    expect(problemOf("${secret.other}")).toEqual({
      code: "SECRET_UNKNOWN",
      expected: "a secret of engineroom:secrets (hfToken)",
      got: "`other`",
      fix: "pulumi config set --secret --path engineroom:secrets.other",
    }));
  it("a secret that is misspelt", () =>
    expect(problemOf("${secret.hfTokn}")).toMatchObject({ fix: "did you mean `hfToken`?" }));
  it("all of them at once", () =>
    expect(resolve("${a} ${b.url} ${cache.url} ${secret.x}", scope).problems.map(({ code }) => code)).toEqual([
      "REFERENCE_MALFORMED",
      "REFERENCE_UNKNOWN",
      "REFERENCE_DISABLED",
      "SECRET_UNKNOWN",
    ]));
});
