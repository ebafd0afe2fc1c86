import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { UserError } from "#cli/errors.ts";

interface HeaderModule {
  /** `path@version` */
  readonly module: string;
  /** As go.sum has it. */
  readonly sum: string;
  /** Path in the module, by the path under which they are included. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * What Ollama's module includes and lacks: Go leaves directories called `vendor` out of a module. An earlier Ollama had
 * two of the three elsewhere; the third is that of a Go module which is made around it.
 */
const headerModules: readonly HeaderModule[] = [
  {
    module: "github.com/ollama/ollama@v0.9.6",
    sum: "h1:HZNJmB52pMt6zLkGkkheBuXBXM5478eiSAj7GR75AMc=",
    files: {
      "nlohmann/json.hpp": "llama/llama.cpp/common/json.hpp",
      "stb/stb_image.h": "llama/llama.cpp/common/stb_image.h",
    },
  },
  {
    module: "github.com/gen2brain/malgo@v0.11.24",
    sum: "h1:hHcIJVfzWcEDHFdPl5Dl/CUSOjzOleY0zzAV8Kx+imE=",
    files: { "miniaudio/miniaudio.h": "miniaudio.h" },
  },
];

/** Puts the headers below `dir`. */
export async function copyHeaders(dir: string, go: string, env: NodeJS.ProcessEnv): Promise<void> {
  mkdirSync(dir, { recursive: true });
  for (const wanted of headerModules) {
    const source = await downloaded(wanted, dir, go, env);
    for (const [name, path] of Object.entries(wanted.files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      copyFileSync(join(source, path), join(dir, name));
    }
  }
  // The one declares what the other has; the module has the whole alone.
  writeFileSync(join(dir, "nlohmann", "json_fwd.hpp"), "#include <nlohmann/json.hpp>\n");
}

async function downloaded(
  { module, sum }: HeaderModule,
  cwd: string,
  go: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const ran = await execa(go, ["mod", "download", "-json", module], { cwd, env, reject: false, stdin: "ignore" });
  const answer = JSON.parse(ran.stdout || "{}") as { Dir?: string; Sum?: string; Error?: string };
  if (ran.failed || answer.Dir === undefined) {
    const got = answer.Error ?? (ran.stderr.trim().split("\n").at(-1) || ran.shortMessage);
    throw new UserError("TOOLCHAIN_BUILD_FAILED", `${module}: expected go to download it, got: ${got ?? ""}.`, {
      fix: "see that `go mod download` reaches its module proxy (GOPROXY), then run ./engineroom setup again",
    });
  }
  if (answer.Sum === sum) return answer.Dir;
  throw new UserError("CHECKSUM_MISMATCH", `${module}: expected the sum ${sum}, got ${answer.Sum ?? "none"}.`, {
    fix: "something between here and the module proxy changes it",
  });
}
