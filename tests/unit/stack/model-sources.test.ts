import { describe, expect, it } from "vitest";
import { modelFilesOf, type ModelPlan } from "#stack/plan.ts";
import { problemLine } from "#stack/problems.ts";
import { planOf, problemsOf, readable } from "#tests/support/stack.ts";

const stack = (model: object, secrets: object = {}) => ({
  models: { m: model },
  secrets,
  services: { chat: { kind: "llama-server", model: "m" } },
});
const planned = (model: object, secrets?: object): ModelPlan =>
  readable(modelFilesOf(planOf(stack(model, secrets)).services[0]!)[0]!);
const linesOf = (model: object, secrets?: object) => problemsOf(stack(model, secrets)).map(problemLine);

const sha256 = "a".repeat(64);
const hub = (more: object = {}) => ({ huggingFace: { repo: "me/model-GGUF", file: "sub/model.gguf", ...more } });
const from = (file: string, revision = "main") => ({ repo: "me/model-GGUF", file, revision });

describe("a source", () => {
  it("is not needed", () => expect(planned({ file: "m.gguf" }).source).toBeUndefined());

  it("is an address", () =>
    expect(planned({ file: "m.gguf", sha256, source: { url: "https://example.org/a.gguf?x=1" } }).source).toEqual({
      downloads: [{ path: "CACHE/models/m.gguf", from: { url: "https://example.org/a.gguf?x=1" }, sha256 }],
    }));

  it("is a file of a repository", () =>
    expect(planned({ file: "/srv/m.gguf", source: hub({ revision: "v1.0" }) }).source).toEqual({
      downloads: [{ path: "/srv/m.gguf", from: from("sub/model.gguf", "v1.0") }],
    }));

  it("has every part of a split model", () => {
    const part = (number: number) => `model-0000${number}-of-00003.gguf`;
    const model = { file: `x/${part(1)}`, sha256, source: hub({ file: `q4/${part(1)}` }) };
    expect(planned(model).source?.downloads).toEqual([
      { path: `CACHE/models/x/${part(1)}`, from: from(`q4/${part(1)}`), sha256 },
      { path: `CACHE/models/x/${part(2)}`, from: from(`q4/${part(2)}`) },
      { path: `CACHE/models/x/${part(3)}`, from: from(`q4/${part(3)}`) },
    ]);
  });

  it.each([
    ["its own name", {}, "CACHE/models/mmproj-f16.gguf"],
    ["the name of the stack file", { mmproj: "eye.gguf" }, "CACHE/models/eye.gguf"],
  ])("brings the projector by %s", (_what, model, mmproj) => {
    const plan = planned({ file: "m.gguf", ...model, source: hub({ mmproj: "sub/mmproj-f16.gguf" }) });
    expect(plan.mmproj).toBe(mmproj);
    expect(plan.source?.downloads[1]).toEqual({ path: mmproj, from: from("sub/mmproj-f16.gguf") });
  });

  it("names the secret that opens it", () =>
    expect(
      planned({ file: "m.gguf", source: hub({ token: "${secret.hf}" }) }, { hf: { env: "HF_TOKEN" } }).source?.token,
    ).toBe("hf"));
});

describe("is refused:", () => {
  it.each<[string, object, string]>([
    [
      "an address without a sum",
      { file: "m.gguf", source: { url: "https://example.org/m.gguf" } },
      "models.m.sha256: expected the sum of what the address is to give, got nothing. Fix: add models.m.sha256, as the model's publisher tells it [MODEL_SOURCE]",
    ],
    [
      "an address of a model in parts",
      { file: "m-00001-of-00002.gguf", sha256, source: { url: "https://example.org/m.gguf" } },
      "models.m.source: expected a source of 2 parts: { huggingFace: { repo, file } }, got the address of one file. Fix: take a model in one file, or its repository on Hugging Face [MODEL_SOURCE]",
    ],
    [
      "parts under other names",
      { file: "m.gguf", source: hub({ file: "m-00001-of-00002.gguf" }) },
      "models.m.file: expected the name that its first part has at its source, m-00001-of-00002.gguf, got `m.gguf`. Fix: the server finds the other parts by the name of the first [MODEL_SOURCE]",
    ],
    [
      "a secret that nobody declared",
      { file: "m.gguf", source: hub({ token: "${secret.hf}" }) },
      "models.m.source.huggingFace.token: expected a secret of engineroom:secrets (none is declared), got `hf`. Fix: declare it: engineroom:secrets: { hf: { env: HF_TOKEN } } [SECRET_UNKNOWN]",
    ],
    [
      "an address with a password",
      { file: "m.gguf", sha256, source: { url: "https://me:canary@example.org/m.gguf" } },
      "models.m.source.url: expected an address without a user and a password, got a text (not shown). Fix: correct models.m.source.url [STACK_VALUE]",
    ],
    [
      "another protocol",
      { file: "m.gguf", sha256, source: { url: "ftp://example.org/m.gguf" } },
      "models.m.source.url: expected an address that begins with https:// or http://, got a text (not shown). Fix: correct models.m.source.url [STACK_VALUE]",
    ],
    [
      "a path that leads out of the repository",
      { file: "m.gguf", source: hub({ file: "../x.gguf" }) },
      'models.m.source.huggingFace.file: expected the path of a `.gguf` file in the repository, got `"../x.gguf"`. Fix: correct models.m.source.huggingFace.file [STACK_VALUE]',
    ],
    [
      "a key too many",
      { file: "m.gguf", source: hub({ revison: "x" }) },
      "models.m.source.huggingFace.revison: expected one of repo, file, mmproj, revision, token, got `revison`. Fix: did you mean `revision`? [STACK_KEY]",
    ],
    [
      "no source at all",
      { file: "m.gguf", source: "https://example.org/m.gguf" },
      'models.m.source: expected one of { url: https://… }, { huggingFace: { repo: NAME/REPOSITORY, file: … } }, got `"https://example.org/m.gguf"`. Fix: correct models.m.source [STACK_VALUE]',
    ],
  ])("%s", (_what, model, line) => expect(linesOf(model)).toEqual([line]));

  it("a token in clear, without repeating it", () => {
    const [line = "", ...more] = linesOf({ file: "m.gguf", source: hub({ token: "hf_canary" }) });
    expect(more).toEqual([]);
    expect(line).toMatch(/^models\.m\.source\.huggingFace\.token: /);
    expect(line).not.toContain("canary");
  });
});
