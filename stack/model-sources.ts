import { basename, dirname, join } from "node:path";
import type { z } from "zod";
import { shardPaths } from "#checks/model-parts.ts";
import type { ModelDownload, ModelPlan } from "./plan.ts";
import type { Problem } from "./problems.ts";
import type { modelSettings } from "./schema.ts";

type Model = z.output<typeof modelSettings>;

/** What set-up downloads for a model whose file goes to `path`. */
export function modelSource(model: Model, path: string, mmproj: string | undefined): ModelPlan["source"] {
  const { source, sha256 } = model;
  if (!source) return undefined;
  const sum = sha256 && { sha256 };
  if ("url" in source) return { downloads: [{ path, from: { url: source.url }, ...sum }] };
  const { repo, file, mmproj: projector, revision, token } = source.huggingFace;
  const from = (name: string): ModelDownload["from"] => ({ repo, file: name, revision });
  const parts = shardNames(file).map((name, index) => ({
    path: index === 0 ? path : join(dirname(path), basename(name)),
    from: from(name),
    ...(index === 0 && sum),
  }));
  const extra = projector && mmproj ? [{ path: mmproj, from: from(projector) }] : [];
  return { downloads: [...parts, ...extra], ...(token && { token: token.replace(/^secret\./, "") }) };
}

/** Where the projector goes: its own name, or that which it has at its source. */
export const mmprojFile = ({ mmproj, source }: Model): string | undefined =>
  mmproj ??
  (source && "huggingFace" in source ? source.huggingFace.mmproj && basename(source.huggingFace.mmproj) : undefined);

const shardNames = (file: string): readonly string[] => {
  const shards = shardPaths(file);
  return "paths" in shards ? shards.paths : [file];
};

/** What is wrong with a model's source, apart from its form. */
export function sourceProblems(name: string, model: Model, secrets: ReadonlySet<string>): readonly Problem[] {
  const { source, sha256, file } = model;
  if (!source) return [];
  const where = `models.${name}`;
  if ("url" in source) {
    const parts = shardNames(file).length;
    return [
      ...(sha256 === undefined
        ? [
            {
              code: "MODEL_SOURCE",
              where: `${where}.sha256`,
              expected: "the sum of what the address is to give",
              got: "nothing",
              fix: `add ${where}.sha256, as the model's publisher tells it`,
            },
          ]
        : []),
      ...(parts > 1
        ? [
            {
              code: "MODEL_SOURCE",
              where: `${where}.source`,
              expected: `a source of ${parts} parts: { huggingFace: { repo, file } }`,
              got: "the address of one file",
              fix: "take a model in one file, or its repository on Hugging Face",
            },
          ]
        : []),
    ];
  }
  const { huggingFace } = source;
  const shards = shardNames(file).length === shardNames(huggingFace.file).length;
  const named = huggingFace.token?.replace(/^secret\./, "");
  return [
    ...(shards && (shardNames(file).length === 1 || basename(file) === basename(huggingFace.file))
      ? []
      : [
          {
            code: "MODEL_SOURCE",
            where: `${where}.file`,
            expected: `the name that its first part has at its source, ${basename(huggingFace.file)}`,
            got: `\`${file}\``,
            fix: "the server finds the other parts by the name of the first",
          },
        ]),
    ...(named === undefined || secrets.has(named)
      ? []
      : [
          {
            code: "SECRET_UNKNOWN",
            where: `${where}.source.huggingFace.token`,
            expected: `a secret of engineroom:secrets (${[...secrets].join(", ") || "none is declared"})`,
            got: `\`${named}\``,
            fix: `declare it: engineroom:secrets: { ${named}: { env: HF_TOKEN } }`,
          },
        ]),
  ];
}
