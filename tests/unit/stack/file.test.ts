import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readStackFile } from "#stack/file.ts";
import { problemLine } from "#stack/problems.ts";
import { sectionsOf, withoutValues } from "#stack/sections.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stack-file-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function read(text: string) {
  writeFileSync(join(dir, "Pulumi.local.yaml"), text);
  return readStackFile(dir, "local");
}

function configOf(text: string) {
  const file = read(text);
  if ("problems" in file) throw new Error(file.problems.map(problemLine).join("\n"));
  return file.config;
}

const linesOf = (text: string): readonly string[] => {
  const file = read(text);
  return "problems" in file ? file.problems.map(problemLine) : sectionsOf(file.config).problems.map(problemLine);
};
const NOT_YAML = "Fix: correct the place named; Pulumi.local.yaml shows the form [STACK_YAML]";
const FORM = "Pulumi.local.yaml: expected YAML with `config:` and its sections, got";

describe("a stack file that is", () => {
  it.each<[string, string, RegExp | string]>([
    [
      "no YAML",
      "config: [a, b",
      /^Pulumi\.local\.yaml: expected YAML with `config:` and its sections, got .*at line 1.* \[STACK_YAML\]$/,
    ],
    ["indented wrongly", "config:\n  a: 1\n b: 2\n", /at line 3/],
    ["written with a key twice", "config:\n  a: 1\n  a: 2\n", /keys must be unique at line 3/],
    ["indented by tabs", "config:\n\ta: 1\n", /\[STACK_YAML\]$/],
    ["empty", "", `${FORM} no keys at its top. ${NOT_YAML}`],
    ["a list", "- a\n", `${FORM} no keys at its top. ${NOT_YAML}`],
    ["a text", "hello\n", `${FORM} no keys at its top. ${NOT_YAML}`],
    ["without keys below config", "config: []\n", `${FORM} a \`config\` without keys. ${NOT_YAML}`],
    ["empty below config", "config:\n", `${FORM} a \`config\` without keys. ${NOT_YAML}`],
    ["referring to no anchor", "config: { a: *nothing }\n", /Unresolved alias.*\[STACK_YAML\]$/],
    ["referring to itself", "config: &a { b: *a }\n", /it refers to itself.*\[STACK_YAML\]$/],
  ])("%s", (_what, text, line) => {
    const lines = linesOf(text);
    expect(lines).toHaveLength(1);
    if (typeof line === "string") expect(lines).toEqual([line]);
    else expect(lines[0]).toMatch(line);
  });

  it("not there names those that are", () => {
    writeFileSync(join(dir, "Pulumi.local.yaml"), "");
    writeFileSync(join(dir, "Pulumi.dev.yaml"), "");
    writeFileSync(join(dir, "Pulumi.yaml"), "");
    const file = readStackFile(dir, "loca");
    expect("problems" in file && file.problems.map(problemLine)).toEqual([
      "Pulumi.loca.yaml: expected the file of a stack (dev, local), got no such file. Fix: did you mean --stack local? [STACK_FILE]",
    ]);
  });
});

describe("reading", () => {
  it("follows anchors and merge keys, as Pulumi does", () =>
    expect(configOf("config:\n  a: &env { X: 1 }\n  b: { <<: *env, Y: 2 }\n  c: *env\n").values).toEqual({
      a: { X: 1 },
      b: { X: 1, Y: 2 },
      c: { X: 1 },
    }));

  it("puts a placeholder where something is encrypted, and says below which key", () => {
    const config = configOf(
      "config:\n  engineroom:secrets: { a: { secure: v1:xyz }, b: { env: B } }\n  other:x: { secure: q }\n",
    );
    expect(config.values).toEqual({
      "engineroom:secrets": { a: "(encrypted)", b: { env: "B" } },
      "other:x": "(encrypted)",
    });
    expect([...config.secretKeys]).toEqual(["engineroom:secrets", "other:x"]);
  });

  it("says whether Pulumi has put its salt there", () => {
    expect(read("config: {}\n")).toMatchObject({ salt: false });
    expect(read("encryptionsalt: v1:abc\nconfig: {}\n")).toMatchObject({ salt: true });
  });
});

describe("where things stand", () => {
  it.each<[string, string, readonly string[]]>([
    [
      "sections of others, and Pulumi's own keys",
      "encryptionsalt: x\nsecretsprovider: y\nenvironment: []\nconfig: { aws:region: x, engineroom:services: {} }",
      [],
    ],
    [
      "a misspelt section",
      "config: { engineroom:service: {} }",
      [
        "engineroom:service: expected one of settings, models, secrets, services, got `service`. Fix: did you mean `services`? [STACK_KEY]",
      ],
    ],
    [
      "a literal secret",
      "config: { engineroom:secrets: { token: hunter2 } }",
      [
        "secrets.token: expected an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }, got a text in clear (not shown). Fix: pulumi config set --secret --path engineroom:secrets.token [SECRET_PLAIN]",
      ],
    ],
    [
      "a literal secret beside an encrypted one",
      "config: { engineroom:secrets: { a: { secure: x }, token: hunter2 } }",
      [
        "secrets.token: expected an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }, got a text in clear (not shown). Fix: pulumi config set --secret --path engineroom:secrets.token [SECRET_PLAIN]",
      ],
    ],
    [
      "an encrypted value in a service",
      "config: { engineroom:services: { api: { env: { TOKEN: { secure: x } } } } }",
      [
        "services.api.env.TOKEN: expected no encrypted value outside of engineroom:secrets, got an encrypted value. Fix: pulumi config set --secret --path engineroom:secrets.NAME, and write ${secret.NAME} here [SECRET_MISPLACED]",
      ],
    ],
    ["encrypted secrets", "config: { engineroom:secrets: { token: { secure: x } } }", []],
  ])("%s", (_what, text, lines) => expect(linesOf(text)).toEqual(lines));

  const decrypted = {
    values: { "engineroom:services": { api: { kind: "web", port: "hunter2" } } },
    secretKeys: new Set(["engineroom:services"]),
  };

  it("an encrypted value that Pulumi has decrypted is known by its section only", () =>
    expect(sectionsOf(decrypted).problems.map(({ where, code }) => [where, code])).toEqual([
      ["engineroom:services", "SECRET_MISPLACED"],
    ]));

  it("no value beside a decrypted one is repeated", () =>
    expect(
      withoutValues(
        { code: "STACK_VALUE", where: "services.api.port", expected: "a port", got: '`"hunter2"`', fix: "no hunter2" },
        decrypted,
      ),
    ).toEqual({
      code: "STACK_VALUE",
      where: "services.api.port",
      expected: "a port",
      got: "another value (not shown beside an encrypted one)",
      fix: "correct services.api.port",
    }));
});
