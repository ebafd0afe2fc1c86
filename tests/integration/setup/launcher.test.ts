import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { executables } from "#setup/path.ts";
import { projectDir } from "./support.ts";

// The real launcher and the real npm, in a small project whose command line prints what it was started with.
const root = process.getuid?.() === 0;
const tools = ["sh", "git", "python3", "npm", "env", "tar", "gzip", "curl", "flock", "uname"];
const basics = [
  "id",
  "stat",
  "sha256sum",
  "sha512sum",
  "date",
  "mkdir",
  "mv",
  "rm",
  "dirname",
  "readlink",
  "find",
  "grep",
  "cat",
];
const nodeVersion = "24.21.0";

let dir: string;
let checkout: string;
let bin: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "engineroom launcher "));
  chmodSync(dir, 0o755);
  checkout = join(dir, `${"long".repeat(20)} with spaces`);
  bin = join(dir, "bin");
  mkdirSync(join(checkout, "cli"), { recursive: true });
  mkdirSync(bin);
  copyFileSync(join(projectDir, "engineroom"), join(checkout, "engineroom"));
  writeFileSync(
    join(checkout, "cli", "main.ts"),
    "const args: string[] = process.argv.slice(2); console.log(JSON.stringify({ args, node: process.execPath, cwd: process.cwd() }));",
  );
  const manifest = { name: "small", version: "1.0.0", type: "module", devDependencies: { "is-number": "7.0.0" } };
  writeFileSync(join(checkout, "package.json"), JSON.stringify(manifest));
  execFileSync("npm", ["install", "--package-lock-only", "--silent", "--no-audit"], { cwd: checkout });
  for (const name of [...basics, ...tools]) link(name);
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Puts one program of this machine onto the small PATH. */
function link(name: string, target = executables(process.env, [name])[0]): void {
  if (target === undefined) throw new Error(`these tests need ${name} on PATH`);
  rmSync(join(bin, name), { force: true });
  symlinkSync(target, join(bin, name));
}

interface Run {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly seen: { readonly args: readonly string[]; readonly node: string; readonly cwd: string } | undefined;
}

const cache = () => join(dir, "cache");
const ownNode = () => join(cache(), `node-${nodeVersion}`, "bin", "node");

async function launch(
  args: readonly string[],
  env: Record<string, string | undefined> = {},
  script?: string,
): Promise<Run> {
  const child = spawn(script ?? join(checkout, "engineroom"), args, {
    cwd: dir,
    env: {
      ...process.env,
      PATH: bin,
      ENGINEROOM_CACHE_HOME: cache(),
      ENGINEROOM_SOURCES: "host,packages",
      ENGINEROOM_NO_INSTALL: undefined,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, errors]: [string[], string[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const text = out.join("");
  const lines = errors.join("").split("\n").filter(Boolean);
  return { code, lines, seen: text === "" ? undefined : (JSON.parse(text) as Run["seen"]) };
}

function useThisNode(): void {
  link("node", process.execPath);
}

describe("engineroom, with a Node that fits on PATH", () => {
  beforeEach(useThisNode);

  it("installs the packages, says so in one line, and starts the command in the caller's directory", async () => {
    const { code, lines, seen } = await launch(["env", "--stack", "two words"]);
    expect(code).toBe(0);
    expect(lines).toEqual([expect.stringMatching(/^packages: npm ci \(production\), \d+\.\d s$/)]);
    expect(seen).toEqual({ args: ["env", "--stack", "two words"], node: process.execPath, cwd: dir });
    expect(existsSync(join(checkout, "node_modules", "is-number"))).toBe(false);
  });

  it("says nothing and starts in less than 60 ms when nothing is to be done", async () => {
    await launch([]);
    writeFileSync(
      join(checkout, "engineroom"),
      readFileSync(join(projectDir, "engineroom"), "utf8").replace(/^exec .*$/m, "exit 0"),
    );
    const times: number[] = [];
    for (let run = 0; run < 5; run++) {
      const started = performance.now();
      const { code, lines } = await launch([]);
      times.push(performance.now() - started);
      expect([code, lines]).toEqual([0, []]);
    }
    expect(Math.min(...times)).toBeLessThan(60);
  });

  it("installs what the tests need for the command test only, and then keeps it", async () => {
    await launch(["up"]);
    const tested = await launch(["--stack", "up", "test"]);
    expect(tested.lines).toEqual([expect.stringMatching(/^packages: npm ci \(all\), /)]);
    expect(existsSync(join(checkout, "node_modules", "is-number"))).toBe(true);
    expect((await launch(["up", "test"])).lines).toEqual([]);
    writeFileSync(
      join(checkout, "package-lock.json"),
      `${readFileSync(join(checkout, "package-lock.json"), "utf8")}\n`,
    );
    expect((await launch(["up"])).lines).toEqual([expect.stringMatching(/^packages: npm ci \(all\), /)]);
  });

  it("takes what npm installed by hand", async () => {
    execFileSync("npm", ["ci", "--silent"], { cwd: checkout });
    expect((await launch(["up"])).lines).toEqual([]);
  });

  it("works through a link, from a 0700 directory", async () => {
    chmodSync(checkout, 0o700);
    symlinkSync(join(checkout, "engineroom"), join(dir, "er"));
    const { seen } = await launch(["status"], {}, join(dir, "er"));
    expect(seen?.args).toEqual(["status"]);
  });

  it("lets two at once install once", async () => {
    const runs = await Promise.all([launch(["up"]), launch(["up"])]);
    expect(runs.map((run) => run.code)).toEqual([0, 0]);
    const lines = runs.flatMap((run) => run.lines);
    expect(lines.filter((line) => line.startsWith("packages: npm ci"))).toHaveLength(1);
  });

  it.each([
    [["up", "--no-install"], {}],
    [["up"], { ENGINEROOM_NO_INSTALL: "1" }],
  ])("installs nothing with %j and %j", async (args, env) => {
    const { code, lines, seen } = await launch(args, env);
    expect([code, seen]).toEqual([2, undefined]);
    expect(lines).toEqual([expect.stringMatching(/^error SETUP_MISSING: node_modules: expected .*\. Fix: /)]);
    expect(existsSync(join(checkout, "node_modules"))).toBe(false);
    expect(existsSync(cache())).toBe(false);
  });

  it.each(["git", "python3", "npm"])("names %s when it is missing, with the fix", async (name) => {
    rmSync(join(bin, name));
    const { code, lines } = await launch(["up"]);
    expect(code).toBe(2);
    expect(lines).toEqual([
      expect.stringMatching(`^error SETUP_MISSING: ${name}: expected it on PATH, got none\\. Fix: apt install `),
    ]);
  });

  it("refuses other platforms by name", async () => {
    rmSync(join(bin, "uname"));
    writeFileSync(join(bin, "uname"), '#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo arm64\n', { mode: 0o755 });
    const { code, lines } = await launch(["up"]);
    expect([code, ...lines]).toEqual([
      2,
      expect.stringMatching(/^error PLATFORM: platform: expected Linux, got Darwin\. Fix: /),
    ]);
  });

  it("wants a home directory from a plain user whom nothing else gives one", async () => {
    rmSync(join(bin, "id"));
    writeFileSync(join(bin, "id"), "#!/bin/sh\necho 54321\n", { mode: 0o755 });
    link("getent");
    link("cut");
    const { code, lines } = await launch(["up"], {
      HOME: undefined,
      ENGINEROOM_CACHE_HOME: undefined,
      XDG_CACHE_HOME: undefined,
    });
    expect([code, ...lines]).toEqual([
      2,
      expect.stringMatching(/^error USAGE: HOME: expected .*uid 54321 has no passwd entry/),
    ]);
  });
});

describe("engineroom, without a Node that fits", () => {
  const withoutNode = () => {
    // npm needs some Node, but this one is too old for us.
    rmSync(join(bin, "npm"));
    const npm = `#!/bin/sh\nPATH='${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}' exec npm "$@"\n`;
    writeFileSync(join(bin, "npm"), npm, { mode: 0o755 });
    writeFileSync(join(bin, "node"), "#!/bin/sh\necho v20.20.2\n", { mode: 0o755 });
    for (const name of ["chmod", "rmdir", "sed"]) link(name);
  };
  beforeEach(withoutNode);

  it("gets one from the npm package, checked, and takes it the next time", async () => {
    const first = await launch(["env"]);
    expect(first.lines[0]).toMatch(new RegExp(`^node ${nodeVersion}: packages, \\d+\\.\\d s \\(`));
    expect(first.seen?.node).toBe(ownNode());
    const second = await launch(["env"]);
    expect([second.lines, second.seen?.node]).toEqual([[], ownNode()]);
    expect(readdirSync(cache()).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("gets it from the official place when that has it with its sum", async () => {
    await using site = await officialSite((sum) => sum);
    const { code, lines, seen } = await launch(["env"], {
      ENGINEROOM_SOURCES: "official",
      ENGINEROOM_NODE_URL: site.url,
    });
    expect(lines[0]).toMatch(`node ${nodeVersion}: official, `);
    expect([code, seen?.node]).toEqual([0, ownNode()]);
    expect(statSync(ownNode()).mode & 0o777).toBe(0o755);
  });

  it("refuses a tarball with another sum, and leaves nothing", async () => {
    await using site = await officialSite(() => "0".repeat(64));
    const { code, lines } = await launch(["env"], { ENGINEROOM_SOURCES: "official", ENGINEROOM_NODE_URL: site.url });
    expect(code).toBe(1);
    expect(lines[0]).toMatch(/does not have the sha256 of SHASUMS256\.txt\)$/);
    expect(lines.at(-1)).toMatch(/^error SETUP_FAILED: node: expected Node 24\.21\.0 from .*, got neither/);
    expect(readdirSync(cache())).toEqual([]);
  });

  it("loses less than 5 s to an official place that never answers", async () => {
    await using site = await serve(() => undefined);
    const { lines, seen } = await launch(["env"], {
      ENGINEROOM_SOURCES: "host,official,packages",
      ENGINEROOM_NODE_URL: site.url,
    });
    const lost = lines.find((line) => line.startsWith("node: not from "));
    expect(Number(/, (\d+\.\d) s\)$/.exec(lost ?? "")?.[1])).toBeLessThan(5);
    expect(seen?.node).toBe(ownNode());
  });

  it("names what is missing instead of getting it with --no-install", async () => {
    const { code, lines } = await launch(["--no-install", "env"]);
    expect(code).toBe(2);
    expect(lines).toEqual([
      expect.stringMatching(
        /^error SETUP_MISSING: node: expected Node >= 22\.18 on PATH or .*, got v20\.20\.2\. Fix: /,
      ),
    ]);
    expect(existsSync(cache())).toBe(false);
  });

  it("leaves no half Node when it is killed", async () => {
    const child = spawn(join(checkout, "engineroom"), ["env"], {
      env: { ...process.env, PATH: bin, ENGINEROOM_CACHE_HOME: cache(), ENGINEROOM_SOURCES: "host,packages" },
      stdio: "ignore",
      detached: true,
    });
    while (!existsSync(cache()) || !readdirSync(cache()).some((name) => name.endsWith(".tmp")))
      await new Promise(setImmediate);
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await once(child, "close");
    expect(existsSync(ownNode())).toBe(false);
    const { seen } = await launch(["env"]);
    expect(seen?.node).toBe(ownNode());
    expect(readdirSync(cache()).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it.runIf(root)("does not take a Node that the service user cannot start", async () => {
    const hidden = join(dir, "hidden");
    mkdirSync(hidden, { mode: 0o700 });
    copyFileSync(process.execPath, join(hidden, "node"));
    link("node", join(hidden, "node"));
    const { seen } = await launch(["env"]);
    expect(seen?.node).toBe(ownNode());
  });
});

interface Site extends AsyncDisposable {
  readonly url: string;
}

async function serve(listener: RequestListener): Promise<Site> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A tarball as Node's makers publish it, with this Node in it, and the file of its sum. */
async function officialSite(publish: (sum: string) => string): Promise<Site> {
  const name = `node-v${nodeVersion}-linux-x64`;
  mkdirSync(join(dir, name, "bin"), { recursive: true });
  copyFileSync(process.execPath, join(dir, name, "bin", "node"));
  const npm = "#!/bin/sh\nexit 0\n";
  writeFileSync(join(dir, name, "bin", "npm"), npm, { mode: 0o755 });
  execFileSync("tar", ["--use-compress-program=gzip -1", "-cf", `${name}.tar.gz`, name], { cwd: dir });
  const tarball = readFileSync(join(dir, `${name}.tar.gz`));
  const sum = createHash("sha256").update(tarball).digest("hex");
  return serve((request, response) => {
    if (request.url === "/SHASUMS256.txt") response.end(`${publish(sum)}  ${name}.tar.gz\n`);
    else if (request.url === `/${name}.tar.gz`) response.end(tarball);
    else response.writeHead(404).end();
  });
}
