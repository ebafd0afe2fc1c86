import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { setUp } from "#setup/setup.ts";
import { serviceAccount } from "#setup/system-user.ts";
import type { ToolName, Tools } from "#setup/tools.ts";
import { Places, projectDir } from "./support.ts";

// The programs of the wheels do real work, as the service user where that is who runs them. llama-server's work with a
// real model is in tests/integration/checks.
const places = new Places();
// Short: a unix socket's path holds 107 bytes.
const work = mkdtempSync(join(tmpdir(), "er-"));
let tools: Tools;
let runAs: { readonly uid: number; readonly gid: number } | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  const env = places.env({ ENGINEROOM_SOURCES: "packages" });
  const parts: readonly ToolName[] = ["supervisord", "postgres", "redis", "nginx", "llama-server"];
  tools = await setUp({ parts, install: true, projectDir, env, report: () => undefined });
  runAs = process.getuid?.() === 0 ? serviceAccount() : undefined;
  if (runAs !== undefined) chownSync(work, runAs.uid, runAs.gid);
});

afterAll(async () => {
  for (const child of children) {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(work, { recursive: true });
  places[Symbol.dispose]();
});

const pathOf = (name: ToolName) => tools[name]?.path ?? "";
const options = () => ({ ...runAs, cwd: "/", env: { PATH: "/usr/bin:/bin", LC_ALL: "C" }, encoding: "utf8" }) as const;

function start(name: ToolName, args: readonly string[]): void {
  children.push(spawn(pathOf(name), args, { ...options(), stdio: "ignore" }));
}

async function answer(socket: string, text: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const connection = connect(socket);
    try {
      await once(connection, "connect");
      connection.write(text);
      const [reply] = (await once(connection, "data")) as [Buffer];
      return reply.toString();
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    } finally {
      connection.destroy();
    }
  }
}

function makeDir(name: string): string {
  const dir = join(work, name);
  mkdirSync(dir, { mode: 0o700 });
  if (runAs !== undefined) chownSync(dir, runAs.uid, runAs.gid);
  return dir;
}

describe("programs from packages", () => {
  it("postgres makes a cluster and selects", async () => {
    const data = join(work, "pg");
    const beside = (name: string) => join(dirname(pathOf("postgres")), name);
    execFileSync(beside("initdb"), ["-D", data, "-U", "app", "--auth=trust", "--no-sync"], options());
    start("postgres", ["-D", data, "-k", work, "-c", "listen_addresses="]);
    // It accepts before it is ready.
    while (spawnSync(beside("pg_isready"), ["-h", work, "-q"], options()).status !== 0) await sleep(50);
    const query = [
      "-h",
      work,
      "-U",
      "app",
      "-d",
      "postgres",
      "-XAtc",
      "create extension citext; select 'A'::citext = 'a'",
    ];
    expect(execFileSync(beside("psql"), query, options())).toContain("t\n");
  });

  it("redis keeps a key", async () => {
    const socket = join(work, "redis.sock");
    start("redis", ["--port", "0", "--unixsocket", socket, "--dir", makeDir("redis"), "--save", ""]);
    expect(await answer(socket, "SET greeting hello\r\n")).toBe("+OK\r\n");
    expect(await answer(socket, "GET greeting\r\n")).toBe("$5\r\nhello\r\n");
  });

  it("nginx answers, and can relay streams", async () => {
    const dir = makeDir("nginx");
    const socket = join(work, "nginx.sock");
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    writeFileSync(
      join(work, "nginx.conf"),
      `daemon off; pid ${dir}/pid; error_log ${dir}/log; events {}
      stream { server { listen unix:${work}/relay.sock; proxy_pass unix:${socket}; } }
      http { access_log off; ${temporary.map((name) => `${name}_temp_path ${dir}/${name};`).join(" ")}
        server { listen unix:${socket}; location / { return 200 "it works"; } } }`,
    );
    start("nginx", ["-p", dir, "-e", `${dir}/log`, "-c", join(work, "nginx.conf")]);
    const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    expect(await answer(socket, request)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*it works$/);
    expect(await answer(join(work, "relay.sock"), request)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it("supervisord answers on its socket", async () => {
    const dir = makeDir("supervisor");
    const socket = join(work, "supervisor.sock");
    const conf = join(work, "supervisord.conf");
    writeFileSync(
      conf,
      `[supervisord]\nnodaemon=true\npidfile=${dir}/pid\nlogfile=${dir}/log\n[unix_http_server]\nfile=${socket}\n
[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n`,
    );
    start("supervisord", ["-c", conf]);
    const body = "<methodCall><methodName>supervisor.getSupervisorVersion</methodName></methodCall>";
    const head = `POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(await answer(socket, head + body)).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it("llama-server loads its libraries, with its Vulkan loader", () => {
    const env = { ...options().env, ...tools["llama-server"]?.env };
    const listed = execFileSync(pathOf("llama-server"), ["--list-devices"], { ...options(), env, stdio: "pipe" });
    expect(listed).toContain("Available devices:");
  });
});
