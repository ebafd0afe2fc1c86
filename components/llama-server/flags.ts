import { nearest } from "#stack/problems.ts";

/** What decides a flag instead of `args`: a key of the service, or a sentence where there is none. */
const OWNED: readonly (readonly [by: string, flags: readonly string[]])[] = [
  ["port", ["--port"]],
  [
    "model",
    ["--model", "-m", "--model-url", "-mu", "--hf-repo", "-hf", "-hfr", "--hf-file", "-hff", "--docker-repo", "-dr"],
  ],
  ["alias", ["--alias", "-a"]],
  ["contextSize", ["--ctx-size", "-c"]],
  ["parallel", ["--parallel", "-np"]],
  ["threads", ["--threads", "-t"]],
  ["batchSize", ["--batch-size", "-b"]],
  ["ubatchSize", ["--ubatch-size", "-ub"]],
  ["flashAttention", ["--flash-attn", "-fa"]],
  ["cacheTypeK", ["--cache-type-k", "-ctk"]],
  ["cacheTypeV", ["--cache-type-v", "-ctv"]],
  ["embeddings", ["--embeddings", "--embedding"]],
  ["jinja", ["--jinja", "--no-jinja"]],
  ["chatTemplate", ["--chat-template", "--chat-template-file"]],
  ["mmproj of the model", ["--mmproj", "-mm", "--mmproj-url", "-mmu"]],
  ["engineroom, which binds loopback: kind nginx opens it to others", ["--host"]],
  [
    "engineroom, whose check asks on loopback without them",
    ["--api-key", "--api-key-file", "--ssl-key-file", "--ssl-cert-file", "--api-prefix"],
  ],
];

const OWNER = new Map(OWNED.flatMap(([by, flags]) => flags.map((flag) => [flag, by] as const)));

/** As the server reads it: `--ctx_size` is `--ctx-size`. Undefined for a value, such as `-1`. */
export function flagOf(argument: string): string | undefined {
  if (!/^--?[A-Za-z]/.test(argument)) return undefined;
  return argument.startsWith("--") ? argument.replaceAll("_", "-") : argument;
}

/** What decides this flag, where `args` must not. */
export const ownerOf = (argument: string): string | undefined => OWNER.get(flagOf(argument) ?? "");

/** The flag that was meant. Short forms are too like each other. */
export const similarFlag = (flag: string, known: readonly string[]): string | undefined =>
  nearest(
    flag.split("=")[0] ?? "",
    known.filter((candidate) => candidate.startsWith("--")),
  );
