import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { UserError } from "#cli/errors.ts";
import { commandPlugin, dockerProgram } from "#setup/toolchain/layout.ts";
import { executables } from "#setup/path.ts";
import { copyHeaders } from "#setup/toolchain/headers.ts";
import {
  cliModule,
  commandModule,
  dockerModule,
  dynamicScripts,
  ollamaModule,
  processorLevel,
  objectStoreModule,
} from "#setup/toolchain/sources.ts";
import {
  commandVersion,
  dockerVersion,
  ollamaVersion,
  pulumiVersion,
  objectStoreVersion,
} from "#setup/toolchain/versions.ts";

interface GoBuild {
  /** What the lines of the report say. */
  readonly name: string;
  readonly module: string;
  readonly packages: readonly string[];
  readonly output: string;
  /** The variable that holds the program's version, and its value. */
  readonly version: readonly [variable: string, value: string];
  readonly tags?: string;
  /** Directory of headers for its C++; absent: it has none, and no C compiler is used. */
  readonly headers?: string;
}

export interface BuildOptions {
  /** Absolute path of the go command, 1.26 or newer. */
  readonly go: string;
  /** Holds Go's caches where the environment has no HOME. */
  readonly cacheDir: string;
  readonly report: (line: string) => void;
}

const buildTimeoutMs = 1_800_000;
/** A first build takes minutes. */
const lifeSignMs = 30_000;
/** Lines of go's output that stand in an error: the first failing package is at the end. */
const tailLines = 15;

/** Builds every program of the toolchain below `root`: `bin/` and `home/`. */
export async function buildPrograms(root: string, options: BuildOptions): Promise<void> {
  const bin = join(root, "bin");
  const plugin = commandPlugin(join(root, "home"));
  mkdirSync(bin, { recursive: true });
  mkdirSync(dirname(plugin), { recursive: true });
  const failed = new AbortController();
  const build = (what: GoBuild) =>
    goBuild(options, what, failed.signal).catch((error: unknown) => {
      failed.abort();
      throw error;
    });
  // Together: one downloads while the other compiles.
  await Promise.all([
    build({
      name: `pulumi ${pulumiVersion} and its language host`,
      module: cliModule,
      packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "./pulumi-language-nodejs"],
      output: `${bin}/`,
      version: ["github.com/pulumi/pulumi/sdk/v3/go/common/version.Version", `v${pulumiVersion}`],
    }),
    build({
      name: `command plugin ${commandVersion}`,
      module: commandModule,
      packages: ["."],
      output: plugin,
      version: ["main.version", commandVersion],
    }),
  ]);
  copyScripts(bin);
}

/** Builds the docker plugin in `root`. */
export async function buildDockerPlugin(root: string, options: BuildOptions): Promise<void> {
  await goBuild(options, {
    name: `docker plugin ${dockerVersion}`,
    module: dockerModule,
    packages: ["."],
    output: join(root, dockerProgram),
    version: ["main.version", dockerVersion],
    // Upstream can also run compose files, by half of docker compose.
    tags: "no_compose",
  });
}

/** Builds Ollama below `root`, for the CPU alone: `bin/ollama`. */
export async function buildOllama(root: string, options: BuildOptions): Promise<void> {
  // Always the same place: its name is part of what Go's cache knows a compiled package by.
  const headers = join(options.cacheDir, "toolchain", "ollama-include");
  requireCompiler();
  await copyHeaders(headers, options.go, goEnvironment(options.cacheDir));
  await goBuild(options, {
    name: `ollama ${ollamaVersion}`,
    module: ollamaModule,
    packages: ["github.com/ollama/ollama"],
    output: join(root, "bin", "ollama"),
    version: ["github.com/ollama/ollama/version.Version", ollamaVersion],
    headers,
  });
  rmSync(headers, { recursive: true, force: true });
}

/** Builds versitygw in `root`. */
export async function buildObjectStore(root: string, options: BuildOptions): Promise<void> {
  await goBuild(options, {
    name: `versitygw ${objectStoreVersion}`,
    module: objectStoreModule,
    packages: ["github.com/versity/versitygw/cmd/versitygw"],
    output: join(root, "versitygw"),
    version: ["main.Version", `v${objectStoreVersion}`],
  });
}

function copyScripts(bin: string): void {
  for (const name of readdirSync(dynamicScripts)) {
    copyFileSync(join(dynamicScripts, name), join(bin, name));
    chmodSync(join(bin, name), name.endsWith(".cjs") ? 0o644 : 0o755);
  }
}

async function goBuild(options: BuildOptions, build: GoBuild, cancelSignal?: AbortSignal): Promise<void> {
  const started = performance.now();
  options.report(`toolchain: building ${build.name}`);
  const [variable, version] = build.version;
  // Go would ask git for the commit, which fails in a clone of another user.
  const args = [
    "build",
    "-trimpath",
    "-buildvcs=false",
    `-tags=${build.tags ?? ""}`,
    "-ldflags",
    `-s -w -X ${variable}=${version}`,
    "-o",
    build.output,
  ];
  const lifeSign = setInterval(() => {
    options.report(`toolchain: still building ${build.name}, ${seconds(started)}`);
  }, lifeSignMs);
  const result = await execa(options.go, [...args, ...build.packages], {
    cwd: build.module,
    env: { ...goEnvironment(options.cacheDir), ...(build.headers && compilerEnvironment(build.headers)) },
    stdin: "ignore",
    all: true,
    reject: false,
    timeout: buildTimeoutMs,
    ...(cancelSignal && { cancelSignal }),
  }).finally(() => {
    clearInterval(lifeSign);
  });
  if (result.failed) {
    throw new UserError("TOOLCHAIN_BUILD_FAILED", explainBuild(build.name, result.all || (result.shortMessage ?? "")), {
      fix: "see that `go mod download` reaches its module proxy (GOPROXY), then run ./engineroom setup again",
      cause: result,
    });
  }
  options.report(`toolchain: ${build.name} built in ${seconds(started)}`);
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

export function explainBuild(name: string, output: string): string {
  const tail = output.trim().split("\n").slice(-tailLines);
  return `${name}: expected \`go build\` to succeed, got:\n${tail.map((line) => `  ${line}`).join("\n")}\n`;
}

function requireCompiler(): void {
  if (["gcc", "g++"].every((name) => executables(process.env, [name]).length > 0)) return;
  throw new UserError("SETUP_MISSING", "ollama: expected gcc and g++ to build it with, got not both.", {
    fix: "install them (apt install g++), or Ollama itself: https://ollama.com/download",
    exitCode: 2,
  });
}

function compilerEnvironment(headers: string): NodeJS.ProcessEnv {
  const flags = `-O2 -march=${processorLevel()}`;
  return {
    CGO_ENABLED: "1",
    CGO_CPPFLAGS: `-I${headers}`,
    CGO_CFLAGS: flags,
    CGO_CXXFLAGS: flags,
  };
}

function goEnvironment(cacheDir: string): NodeJS.ProcessEnv {
  const caches =
    process.env["HOME"] === undefined
      ? { GOPATH: join(cacheDir, "go"), GOCACHE: join(cacheDir, "go", "build") }
      : undefined;
  // The sources and go.sum decide alone what is built, whatever the user's Go is set to do.
  return { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOWORK: "off", GOTOOLCHAIN: "local", ...caches };
}
