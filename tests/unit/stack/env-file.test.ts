import { describe, expect, it } from "vitest";
import { readEnv } from "#stack/env-file.ts";
import { loadStack, type LoadContext } from "#stack/load.ts";
import { problemLine } from "#stack/problems.ts";
import { printable } from "#stack/text.ts";
import { context, planOf } from "#tests/support/stack.ts";

describe("a file of variables", () => {
  it.each<[string, string, Readonly<Record<string, string>>]>([
    ["nothing", "", {}],
    ["a value", "A=1", { A: "1" }],
    ["spaces around", "  A = 1  ", { A: "1" }],
    ["an empty one", "A=", { A: "" }],
    ["comments and empty lines", "# one\n\nA=1 # two\n", { A: "1" }],
    ["export", "export A=1\n", { A: "1" }],
    ["quotes", `A="a # b"\nB='c "d"'\nC=\`e'f\``, { A: "a # b", B: 'c "d"', C: "e'f" }],
    ["a line end in double quotes", String.raw`A="a\nb"`, { A: "a\nb" }],
    ["several lines in quotes", 'A="a\nb"\nB=2', { A: "a\nb", B: "2" }],
    ["a value with =", "A=b=c", { A: "b=c" }],
    ["line ends of Windows", "A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["a reference, which means nothing here", "A=${secret.b}", { A: "${secret.b}" }],
  ])("may have %s", (_title, text, variables) => expect(readEnv(text)).toEqual({ variables }));

  it.each<[string, string, number]>([
    ["no =", "A=1\nwrong\nB=2", 2],
    ["a name that is none", "# x\n\n1A=2", 3],
    ["quotes without an end", 'A=1\nB="open\nC=3', 2],
  ])("may not have %s", (_title, text, line) =>
    expect(readEnv(text)).toEqual({ wrong: `line ${line} is no variable`, line }),
  );
});

describe("envFile", () => {
  const raw = (more: object) => ({
    services: { api: { kind: "web", command: ["run"], envFile: "./app.env", ...more } },
  });
  const where = (envFiles: LoadContext["envFiles"]): LoadContext => ({ ...context, envFiles });
  const file = (variables: Readonly<Record<string, string>>) => where(new Map([["./app.env", { variables }]]));

  it("gives secrets, over which env wins", () => {
    const { services, secrets } = planOf(raw({ env: { B: "own" } }), file({ A: "kanarie", B: "filed" }));
    const [api] = services;
    expect(Object.entries(api!.env).map(([name, text]) => `${name}=${printable(text)}`)).toEqual([
      "A=(secret secret.api.env.A)",
      "B=own",
    ]);
    expect(JSON.stringify(services)).not.toContain("kanarie");
    expect(secrets["api.env.A"]).toEqual({ from: "envFile", path: "/home/me/lab/app.env", value: "kanarie" });
  });

  it.each<[string, LoadContext["envFiles"], string]>([
    [
      "is not there",
      new Map([["./app.env", { wrong: "there is no such file" }]]),
      "got `./app.env`: there is no such file. Fix: correct the path; it is relative to the checkout",
    ],
    [
      "has a bad line",
      new Map([["./app.env", readEnv("A=1\nwrong")]]),
      "got `./app.env`: line 2 is no variable. Fix: correct line 2 of ./app.env",
    ],
  ])("a file that %s is named", (_title, envFiles, words) => {
    const loaded = loadStack(raw({}), where(envFiles));
    expect("problems" in loaded && loaded.problems.map(problemLine)).toEqual([
      `services.api.envFile: expected a file with a variable a line, \`KEY=value\`, ${words} [ENV_FILE]`,
    ]);
  });
});
