import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { hostPlaces } from "#stack/places.ts";

/** Base directories of test runs: `/tmp/e2e-<pid of the run>-<random>`. Short, because sockets lie below. */
export const BASE_PREFIX = "/tmp/e2e-";

/** Nothing runs from there, and a test's own text may hold what it searches for. Other stack files are nobody's business. */
const LEFT_OUT = /^(tests\/|Pulumi\.(?!local)[^/]*\.yaml$)/;

const original = dirname(dirname(import.meta.dirname));

/** A checkout of this working tree with places of its own, removed when it is disposed of. */
export interface Checkout extends Disposable {
  /** All below this directory is the test's; others may pass through it. */
  readonly base: string;
  /** Real path of the copy. Mode 0700, as a `mktemp -d` makes it. */
  readonly dir: string;
  /** The environment for everything that is started there: a caller's, with our places. */
  readonly env: Readonly<Record<string, string>>;
}

export interface CheckoutOptions {
  /** Below an existing base: a second clone beside the first, with the same places. */
  readonly beside?: Checkout;
  /** Name of the copy's directory. */
  readonly name?: string;
}

/** Files that git knows or would take, so that a test sees what stands in the working tree. */
export function checkout({ beside, name = "checkout" }: CheckoutOptions = {}): Checkout {
  const base = beside?.base ?? mkdtempSync(`${BASE_PREFIX}${process.pid}-`);
  chmodSync(base, 0o755);
  const dir = join(base, name);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o700);
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: original,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  const files = listed.split("\0").filter((file) => file !== "" && !LEFT_OUT.test(file));
  for (const file of files) copy(join(original, file), join(dir, file));
  symlinkSync(realpathSync(join(original, "node_modules")), join(dir, "node_modules"));
  if (!beside) linkCache(join(base, "cache"));
  return {
    base,
    dir: realpathSync(dir),
    env: beside?.env ?? environment(base),
    [Symbol.dispose]: () => rmSync(beside ? dir : base, { recursive: true, force: true }),
  };
}

/** The launcher compares the times of two files, so they are kept. */
function copy(from: string, to: string): void {
  try {
    cpSync(from, to, { preserveTimestamps: true, verbatimSymlinks: true });
  } catch (error) {
    // Listed, and removed since.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/**
 * A cache that has all that the machine's has, and takes what is new: other users of that one may change which tools
 * are chosen while a test runs, and a test must leave nothing in it.
 */
function linkCache(cache: string): void {
  const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
  for (const shelf of ["", "builds", "environments"]) {
    mkdirSync(join(cache, shelf), { recursive: true });
    for (const name of existsSync(join(cacheDir, shelf)) ? readdirSync(join(cacheDir, shelf)) : []) {
      const [from, to] = [join(cacheDir, shelf, name), join(cache, shelf, name)];
      if (["builds", "environments", "launcher.stamp"].includes(name) || /\.(lock|tmp)$/.test(name)) continue;
      if (name.endsWith(".json")) cpSync(from, to);
      else symlinkSync(from, to);
    }
  }
}

/** What a caller's shell has, less what belongs to Pulumi, to us and to the test runner. */
function environment(base: string): Readonly<Record<string, string>> {
  const foreign = /^(PULUMI_|ENGINEROOM_|VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$|DEV$|PROD$|MODE$|npm_|TMUX)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    ENGINEROOM_CACHE_HOME: join(base, "cache"),
    ENGINEROOM_STATE_HOME: join(base, "state"),
    ENGINEROOM_RUNTIME_HOME: join(base, "run"),
    // All is set up, and node_modules is a link that nobody may empty.
    ENGINEROOM_NO_INSTALL: "1",
  };
}
