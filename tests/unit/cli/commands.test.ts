import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const project = join(import.meta.dirname, "../../..");

/** A host on which nothing was ever set up. */
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "engineroom-commands-"));
});
afterAll(() => {
  rmSync(home, { recursive: true });
});

function start(...args: readonly string[]) {
  const env = {
    ENGINEROOM_STATE_HOME: join(home, "state"),
    ENGINEROOM_CACHE_HOME: join(home, "cache"),
    ENGINEROOM_RUNTIME_HOME: join(home, "run"),
    PATH: process.env["PATH"] ?? "",
    HOME: home,
  };
  const main = join(project, "cli/main.ts");
  return execa(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], {
    env,
    extendEnv: false,
    reject: false,
  });
}

const engineroom = async (...args: readonly string[]) => await start(...args);

interface Answer {
  readonly stack: string;
  readonly ready: boolean;
  readonly services: readonly Readonly<Record<string, unknown>>[];
  readonly error: { readonly code: string; readonly message: string; readonly fix: string | null };
}

const parse = (text: string): Answer => JSON.parse(text) as Answer;

const KEYS = [
  ...["name", "kind", "in", "state", "ready", "reason", "url", "containerId", "pid", "ports", "memoryBytes"],
  ...["restarts", "since"],
];

describe("on a host where nothing runs and nothing is installed", { timeout: 30_000 }, () => {
  it("status --json prints its one object and exits with 1", async () => {
    const { stdout, stderr, exitCode } = await engineroom("status", "--json", "--stack", "local");
    const status = parse(stdout);
    expect(Object.keys(status)).toEqual(["stack", "ready", "services"]);
    expect(status).toMatchObject({ stack: "local", ready: false });
    for (const service of status.services) {
      expect(Object.keys(service)).toEqual(KEYS);
      expect(service).toMatchObject({ state: "missing", ready: false, pid: null, memoryBytes: null, restarts: 0 });
    }
    expect(stderr).toBe("");
    expect(exitCode).toBe(1);
  });

  it("check --json adds each check's own words", async () => {
    const { stdout, exitCode } = await engineroom("check", "db", "--json");
    const { services, ready } = parse(stdout);
    expect(ready).toBe(false);
    expect(services.map((service) => Object.keys(service))).toEqual([[...KEYS, "detail"]]);
    expect(exitCode).toBe(1);
  });

  it("plan prints the whole stack and exits with 0", async () => {
    const { stdout, exitCode } = await engineroom("plan", "--json");
    expect(parse(stdout).services.map((service) => service["name"])).toContain("edge");
    expect(exitCode).toBe(0);
    expect((await engineroom("plan", "db")).stdout).toContain("(secret db.password)");
  });

  it("doctor names what is missing and exits with 1", async () => {
    const { stdout, exitCode } = await engineroom("doctor", "--json");
    const { ok, findings } = JSON.parse(stdout) as {
      readonly ok: boolean;
      readonly findings: readonly { readonly ok: boolean; readonly code?: string; readonly where: string }[];
    };
    expect(ok).toBe(false);
    const missing = findings.filter((finding) => finding.code === "TOOL_MISSING").map((finding) => finding.where);
    expect(missing).toEqual(expect.arrayContaining(["pulumi", "postgres", "llama-server"]));
    expect(exitCode).toBe(1);
  });

  it("logs says which file it misses and exits with 1", async () => {
    const { stderr, exitCode } = await engineroom("logs", "db");
    expect(stderr).toMatch(
      /^error LOG_MISSING: logs of stack local: expected some, got db: no log yet at .*\/logs\/db\.log\. Fix: /,
    );
    expect(exitCode).toBe(1);
  });
});

describe("wrong use", { timeout: 30_000 }, () => {
  it.each([
    ["a service that is not there", ["check", "brokr"], "SERVICE_UNKNOWN", "did you mean `broker`?"],
    ["a service that is not there", ["plan", "edgee"], "SERVICE_UNKNOWN", "did you mean `edge`?"],
    ["a service that is not there", ["plan", "zzzzzz"], "SERVICE_UNKNOWN", "./engineroom plan lists them"],
    ["a stack without a file", ["status", "--stack", "lokal"], "STACK_FILE", "did you mean --stack local?"],
    ["two forms at once", ["status", "--watch"], "USAGE", "leave one out"],
    ["an unknown option", ["doctor", "--jsn"], "USAGE", "unknown option"],
    ["an unknown command", ["statsu"], "USAGE", "unknown command"],
    ["no number", ["logs", "-n", "many"], "USAGE", "whole number"],
  ])("%s: %s is told as JSON, with exit code 2", async (_title, args, code, words) => {
    const { stdout, stderr, exitCode } = await engineroom(...args, "--json");
    const { error, ...rest } = parse(stdout);
    expect(rest).toEqual({});
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.fix ?? ""}`).toContain(words);
    expect(stderr).toBe("");
    expect(exitCode).toBe(2);
  });

  it("is told in words without --json", async () => {
    const { stdout, stderr, exitCode } = await engineroom("check", "brokr");
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error SERVICE_UNKNOWN: service: expected one of db, .*, got `brokr`\. Fix: did you mean/);
    expect(exitCode).toBe(2);
  });
});

describe("what goes on until Ctrl-C", { timeout: 30_000 }, () => {
  it.each([
    ["status --watch draws again", ["status", "--watch"], "stdout", /(stack local: not ready[^]*){2}/],
    ["logs -f waits for logs", ["logs", "db", "-f"], "stderr", /^db: no log yet at /],
  ] as const)("%s, and ends with 130", async (_title, args, stream, words) => {
    const run = start(...args);
    let seen = "";
    for await (const text of run[stream]) {
      seen += String(text);
      if (words.test(seen)) break;
    }
    run.kill("SIGINT");
    expect((await run).exitCode).toBe(130);
  });
});
