import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { flagOf, ownerOf, similarFlag } from "#components/llama-server/flags.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import type { ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";

/** What a build of llama-server takes, or why it does not even print its help. */
export type LlamaFlags = { readonly flags: readonly string[] } | { readonly broken: string };

const HELP_MS = 20_000;
/** Builds that are remembered, the newest last. */
const REMEMBERED = 8;

/** Every flag that a help text has. Some builds list flags that they only refuse. */
export const flagsIn = (help: string): readonly string[] =>
  help
    .split(/\n(?=--?[A-Za-z])/)
    .filter((option) => !option.includes("the argument has been removed"))
    .flatMap(
      (option) => /^(?:--?[A-Za-z][\w.-]*(?:,\s*|(?=\s|$)))+/.exec(option)?.[0].match(/--?[A-Za-z][\w.-]*/g) ?? [],
    );

/** What is wrong with a service's arguments for a build that takes `flags`. */
export const judgeFlags = (
  { name, argv }: Pick<ServicePlan, "name" | "argv">,
  flags: readonly string[],
  build: string,
): readonly Problem[] =>
  [...new Set(argv.slice(1).flatMap((argument) => flagOf(argument) ?? []))]
    .filter((flag) => !flags.includes(flag))
    .map((flag) => {
      const similar = similarFlag(flag, flags);
      return {
        code: "FLAG_UNKNOWN",
        where: `services.${name}.${ownerOf(flag) ?? "args"}`,
        expected: `a flag that llama-server ${build} has`,
        got: `\`${flag}\``,
        fix: similar ? `did you mean \`${similar}\`?` : "remove it: `llama-server --help` lists what there is",
      };
    });

/** The flags of a program of this host: from the cache, or by asking it for its help, which takes 60 ms. */
export async function flagsOfProgram(
  path: string,
  env: Readonly<Record<string, string>>,
  cacheFile: string,
): Promise<LlamaFlags> {
  const key = `${path} ${await identityOf(path)} ${env["LD_LIBRARY_PATH"] ?? ""}`;
  const known = (await readCache(cacheFile))[key];
  if (known) return { flags: known };
  const { execa } = await import("execa");
  const { failed, stdout, stderr, shortMessage } = await execa(path, ["--help"], {
    reject: false,
    extendEnv: false,
    env,
    stdin: "ignore",
    timeout: HELP_MS,
  });
  const flags = flagsIn(stdout);
  if (failed || flags.length === 0) return { broken: stderr.trim().split("\n").at(-1) || shortMessage || "no help" };
  await rememberFlags(key, flags, cacheFile);
  return { flags };
}

/** Of an image, which set-up asked when it got it. */
export const flagsOfImage = async (reference: string, cacheFile: string): Promise<readonly string[] | undefined> =>
  (await readCache(cacheFile))[reference];

/** @param key what changes with the build */
export async function rememberFlags(key: string, flags: readonly string[], cacheFile: string): Promise<void> {
  const others = Object.entries(await readCache(cacheFile)).filter(([other]) => other !== key);
  const kept = [...others, [key, flags] as const].slice(-REMEMBERED);
  try {
    writeFileAtomic(cacheFile, JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // A full or read-only disk costs the next run the same question, no more.
  }
}

/** Of the directory too: what the program loads lies beside it. */
async function identityOf(path: string): Promise<string> {
  const looks = [path, dirname(path)].map((each) => stat(each, { bigint: true }));
  const found = await Promise.all(looks).catch(() => []);
  return found.map(({ size, mtimeNs, ino }) => `${size}-${mtimeNs}-${ino}`).join(" ");
}

async function readCache(cacheFile: string): Promise<Readonly<Record<string, readonly string[]>>> {
  try {
    return JSON.parse(await readFile(cacheFile, "utf8")) as Record<string, readonly string[]>;
  } catch {
    // Missing or damaged: what it held can be asked again.
    return {};
  }
}
