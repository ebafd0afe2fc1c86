import type { Found, SetupContext } from "#setup/context.ts";
import type { Part } from "#setup/part.ts";
import { executables } from "#setup/path.ts";
import { tryProgram } from "#setup/run.ts";
import { atLeast } from "#setup/version.ts";

const minimum = "3.10";
const names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"] as const;

// A python in a venv or behind a pyenv shim names the real one; ensurepip is what Debian leaves out.
const question =
  "import sys, venv, ensurepip; print('python', '.'.join(map(str, sys.version_info[:3])), getattr(sys, '_base_executable', None) or sys.executable)";

export const python: Part = {
  name: "python",
  wanted: `Python >= ${minimum} with venv and ensurepip`,
  fix: "apt install python3 python3-venv",
  pins: [minimum],
  needs: [],
  find: async (context) => {
    for (const file of executables(context.env, names, ["/usr/bin", "/usr/local/bin"])) {
      const found = await ask(context, file);
      if (found !== undefined) return found;
    }
    return undefined;
  },
};

async function ask(context: SetupContext, file: string): Promise<Found | undefined> {
  const ran = await tryProgram(context, file, ["-I", "-c", question]);
  const [, version, path] = /^python (\S+) (.+)$/m.exec(ran.output) ?? [];
  if (!ran.ok || version === undefined || path === undefined || !atLeast(version, minimum)) return undefined;
  return { path, version, source: "host" };
}
