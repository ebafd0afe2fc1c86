import type { SetupContext, Source } from "#setup/context.ts";
import { provenPackage } from "#setup/found.ts";
import { programOptions } from "#setup/go.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { ollamaKey } from "#setup/toolchain/sources.ts";
import { ollamaVersion } from "#setup/toolchain/versions.ts";
import { atLeast } from "#setup/version.ts";

/** The first whose models can be made of files sent to it. */
const minimum = "0.5.5";
const pattern = /client version is (\d+\.\d+\.\d+)/;
// It asks a server for its version first, and gives its own where none answers: 9 is the port that discards.
const alone = { OLLAMA_HOST: "127.0.0.1:9", HOME: "/" };

export const ollama: Part = {
  name: "ollama",
  wanted: `Ollama >= ${minimum}`,
  fix: "install it: https://ollama.com/download",
  // Read only where a stack asks for it.
  get pins() {
    return [ollamaVersion, ollamaKey()];
  },
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["ollama"], ["/usr/local/bin"])) {
      const version = await versionOf(context, path, ["--version"], pattern, alone);
      if (version !== undefined && atLeast(version, minimum)) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const { path, source } = await makeOllama(
      context,
      context.sources.filter((source) => source !== "host"),
    );
    const { env: _env, ...found } = await provenPackage(context, "ollama", path, {
      args: ["--version"],
      pattern,
      env: alone,
    });
    return { ...found, source };
  },
};

/** Gets Ollama from the first of these sources that has it. */
export async function makeOllama(
  context: SetupContext,
  sources: readonly Source[],
): Promise<{ readonly path: string; readonly source: Source }> {
  const { findOllama } = await import("#setup/toolchain.ts");
  return findOllama(programOptions(context, sources));
}
