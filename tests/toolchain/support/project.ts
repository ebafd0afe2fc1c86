import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { activeToolchain } from "#tests/toolchain/support/active.ts";

/** The packages of this repository. */
export const nodeModules = join(import.meta.dirname, "..", "..", "..", "node_modules");
const programs = join(import.meta.dirname, "..", "programs");
/** Shared by all runs, as people's runs share it. */
const compileCache = join(tmpdir(), `engineroom-test-compile-cache-${process.getuid?.() ?? 0}`);

export const stack = "dev";
export const canary = "canary %s ' $HOME";

export interface Ended {
  readonly code: number | undefined;
  /** Both streams, as a person sees them. */
  readonly text: string;
  readonly stdout: string;
}

/** A copy of one program with a state, a home and a passphrase of its own. */
export class Project implements AsyncDisposable {
  readonly dir: string;
  readonly #root: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(root: string, env: Readonly<Record<string, string>>) {
    this.#root = root;
    this.#env = env;
    this.dir = join(root, "project");
  }

  /** @param program directory below tests/toolchain/programs. */
  static async make(program: string, env: Readonly<Record<string, string>> = {}): Promise<Project> {
    const project = new Project(mkdtempSync(join(tmpdir(), "engineroom-toolchain-")), env);
    cpSync(join(programs, program), project.dir, { recursive: true });
    const files = {
      "Pulumi.yaml": "name: conformance\nruntime: { name: nodejs, options: { typescript: false } }\n",
      "package.json": '{ "type": "module", "main": "index.ts" }\n',
    };
    for (const [name, text] of Object.entries(files)) {
      if (!existsSync(join(project.dir, name))) writeFileSync(join(project.dir, name), text);
    }
    symlinkSync(nodeModules, join(project.dir, "node_modules"));
    for (const name of ["state", "home"]) mkdirSync(join(project.#root, name));
    await project.pulumi(["stack", "init", stack]);
    return project;
  }

  /** Starts pulumi without waiting for its end. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { pulumi } = activeToolchain();
    return execa(pulumi, [...args, "--non-interactive", "--color=never"], {
      cwd: this.dir,
      extendEnv: false,
      env: { ...this.#environment(), ...env },
      stdin: "ignore",
      all: true,
      reject: false,
      timeout: 100_000,
    });
  }

  /** Runs pulumi to its end, whatever that is. */
  async pulumi(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const result = await this.start(args, env);
    return { code: result.exitCode, text: result.all, stdout: result.stdout };
  }

  /** Lines that the program's commands appended to the file `log`. */
  log(): readonly string[] {
    const file = join(this.dir, "log");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }

  async outputs(): Promise<unknown> {
    return JSON.parse((await this.pulumi(["stack", "output", "--json"])).stdout);
  }

  /** The state as it lies on disk, secrets encrypted. */
  state(): string {
    return readFileSync(join(this.#root, "state", ".pulumi", "stacks", "conformance", `${stack}.json`), "utf8");
  }

  removePackages(): void {
    rmSync(join(this.dir, "node_modules"));
  }

  #environment(): Readonly<Record<string, string>> {
    const { pulumi, home } = activeToolchain();
    return {
      PATH: [dirname(process.execPath), dirname(pulumi), "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
      HOME: join(this.#root, "home"),
      PULUMI_HOME: home,
      PULUMI_BACKEND_URL: `file://${join(this.#root, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "conformance",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      NODE_COMPILE_CACHE: compileCache,
      CANARY: canary,
      ...this.#env,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#root, { recursive: true, force: true });
    return Promise.resolve();
  }
}
