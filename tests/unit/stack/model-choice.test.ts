import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withModelChoice } from "#stack/model-choice.ts";
import { SMALL_MODEL } from "#stack/small-model.ts";
import { context, planOf, problemsOf, serviceOf } from "#tests/support/stack.ts";

const root = new URL("../../../", import.meta.url);

describe("withModelChoice", () => {
  const forms: readonly (readonly [name: string, before: string, after: string])[] = [
    [
      "settings of several lines",
      "config:\n  engineroom:settings: # ours\n    # first\n    in: host   # here\n    data: kept\n",
      "config:\n  engineroom:settings: # ours\n    # first\n    models: small\n    in: host   # here\n    data: kept\n",
    ],
    [
      "settings in one line",
      "config:\n  engineroom:settings: { in: host }\n",
      "config:\n  engineroom:settings: { models: small, in: host }\n",
    ],
    [
      "no settings",
      "# Ours.\nconfig:\n  # what runs\n  engineroom:services:\n    a: {kind: redis}\n",
      "# Ours.\nconfig:\n  # what runs\n  engineroom:settings:\n    models: small\n  engineroom:services:\n    a: {kind: redis}\n",
    ],
    [
      "another indent, no line feed at the end",
      "config:\n    engineroom:settings:\n        in: host",
      "config:\n    engineroom:settings:\n        models: small\n        in: host",
    ],
  ];

  it.each(forms)("writes one line, and takes it back: %s", (_name, before, after) => {
    expect(withModelChoice(before, "small")).toBe(after);
    expect(withModelChoice(after, "declared")).toBe(before);
  });

  it.each(forms)("changes nothing that is so already: %s", (_name, before, after) => {
    expect(withModelChoice(before, "declared")).toBe(before);
    expect(withModelChoice(after, "small")).toBe(after);
  });

  it.each([
    ["empty settings", "config:\n  engineroom:settings:\n  other:x: 1 # kept\n"],
    ["settings elsewhere", "x: &x { in: host }\nconfig:\n  engineroom:settings: *x\n  other:x: 1 # kept\n"],
  ])("writes the section anew where it must: %s", (_name, before) => {
    const after = withModelChoice(before, "small");
    expect(after).toContain("models: small");
    expect(after).toContain("other:x: 1 # kept");
    expect(withModelChoice(withModelChoice(after, "declared"), "small")).toBe(after);
  });

  it.each(["local", "dev"])("keeps every other byte of stack %s", (name) => {
    const text = readFileSync(new URL(`Pulumi.${name}.yaml`, root), "utf8");
    const small = withModelChoice(text, "small");
    expect(small.split("\n").filter((line) => line !== "    models: small")).toEqual(text.split("\n"));
    expect(withModelChoice(small, "declared")).toBe(text);
  });
});

describe("models: small", () => {
  const models = { big: { file: "/m/big-00001-of-00003.gguf", mmproj: "p.gguf", missing: "wait" } };
  const services = {
    chat: { kind: "llama-server", model: "big", contextSize: 131_072, args: ["--no-warmup"] },
    llm: { kind: "ollama", models: [{ from: "big" }] },
  };
  const small = { settings: { models: "small", modelsDir: "/elsewhere" }, models, services };
  const file = `${context.host.cacheDir}/models/${SMALL_MODEL.file}`;

  it("takes the place of every model, without its projector", () =>
    expect(planOf(small).models).toEqual([
      {
        name: "big",
        path: file,
        standsInFor: "/m/big-00001-of-00003.gguf",
        bytes: 0,
        sha256: SMALL_MODEL.sha256,
        missing: "wait",
        stableSeconds: 2,
        waitSeconds: 3600,
      },
    ]));

  it("takes the name of one that would be pulled, too", () => {
    const llm = { kind: "ollama", models: ["gemma2:2b"] };
    expect(serviceOf({ settings: { models: "small" }, services: { llm } }, "llm").serves).toEqual([
      { name: "gemma2:2b", file: expect.objectContaining({ path: file, standsInFor: "gemma2:2b" }) as unknown },
    ]);
  });

  it("leaves flags and names as they are", () => {
    const argv = (raw: object) => serviceOf(raw, "chat").argv;
    const [, , , ...declared] = argv({ models, services: { chat: services.chat } });
    const [, flag, path, ...rest] = argv(small);
    expect([flag, path]).toEqual(["--model", file]);
    expect(rest).toEqual(declared.filter((word) => word !== "--mmproj" && !word.endsWith("/p.gguf")));
    expect(rest.join(" ")).toContain("--alias big");
  });

  it.each([
    ["gets a way to make embeddings", {}, "--embeddings --pooling mean"],
    ["keeps its own", { args: ["--pooling", "last"] }, "--parallel 1 --embeddings --pooling last"],
  ])("%s", (_what, more, expected) => {
    const chat = { kind: "llama-server", model: "big", embeddings: true, ...more };
    expect(serviceOf({ ...small, services: { chat } }, "chat").argv.join(" ")).toContain(expected);
  });

  it("does not ask the small one for a context that it may not know", () =>
    expect(serviceOf(small, "chat").check).toMatchObject({ contextSize: 0 }));

  it("is one of two words", () =>
    expect(problemsOf({ settings: { models: "tiny" }, models, services: { chat: services.chat } })).toMatchObject([
      { where: "settings.models", got: '`"tiny"`' },
    ]));
});
