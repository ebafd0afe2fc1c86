import { describe, expect, it } from "vitest";
import { inFileOrder, nearest, problemReport, shown, type Problem } from "#stack/problems.ts";

const problem = (where: string): Problem => ({ code: "CODE", where, expected: "this", got: "that", fix: "do it" });

it("makes one line of each problem", () =>
  expect(problemReport("Pulumi.x.yaml", [problem("services.a"), problem("settings")])).toBe(
    `Pulumi.x.yaml has 2 problems:
  services.a: expected this, got that. Fix: do it [CODE]
  settings: expected this, got that. Fix: do it [CODE]`,
  ));

it("counts one problem as one", () =>
  expect(problemReport("Pulumi.x.yaml", [problem("a")])).toMatch(/^Pulumi\.x\.yaml has 1 problem:\n/));

it("sorts as the file does; what is missing comes where its parent stands", () => {
  const raw = { services: { web: { port: 1, kind: "web" }, db: { kind: "postgres" } }, settings: { in: "host" } };
  const sorted = ["settings.in", "services.db.kind", "services.db", "services.web.kind", "services.web.port", "other"];
  expect(inFileOrder(sorted.map(problem), raw).map(({ where }) => where)).toEqual([
    "other",
    "services.web.port",
    "services.web.kind",
    "services.db",
    "services.db.kind",
    "settings.in",
  ]);
});

describe("did you mean", () => {
  it.each([
    ["prot", ["port", "kind"], "port"],
    ["postgress", ["postgres", "process"], "postgres"],
    ["DB", ["db"], "db"],
    ["llamaserver", ["llama-server"], "llama-server"],
    ["x", ["in", "id"], undefined],
    ["zebra", ["port"], undefined],
    ["port", [], undefined],
  ])("%s among %j: %s", (word, candidates, found) => expect(nearest(word, candidates)).toBe(found));
});

describe("a value is shown", () => {
  it.each<[unknown, string]>([
    [undefined, "nothing"],
    [null, "an empty value"],
    ["8080", '`"8080"`'],
    [8080, "`8080`"],
    [Number.POSITIVE_INFINITY, "`Infinity`"],
    [true, "`true`"],
    [["a"], "a list"],
    [{}, "an empty map"],
    [{ a: "hunter2" }, "a map with `a`"],
    ["x".repeat(200), `\`"${"x".repeat(79)}…\``],
  ])("%j: %s", (value, text) => expect(shown(value)).toBe(text));
  it.each<[unknown, string]>([
    ["hunter2", "a text (not shown)"],
    [4711, "a number (not shown)"],
    [["hunter2"], "a list"],
  ])("%j, if it may be a secret: %s", (value, text) => expect(shown(value, true)).toBe(text));
});
