import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadToolchain, findToolchain } from "#setup/toolchain.ts";
import { commandPlugin } from "#setup/toolchain/layout.ts";
import { parseSum, releases } from "#setup/toolchain/release.ts";

const nodeModules = join(import.meta.dirname, "..", "..", "node_modules");
const silent = () => undefined;

let root: string;
let server: Server;
let base: string;
let requests: string[];

// Does not prove: that the official hosts still name their files this way.
describe("the official download", () => {
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "engineroom-download-"));
    requests = [];
    await publish();
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  });

  it("is checked, unpacked and there as a whole", async () => {
    await serve(published);
    const toolchain = await downloadToolchain(options());
    expect((await execa(toolchain.pulumi)).stdout).toBe("program pulumi");
    expect((await execa(commandPlugin(toolchain.home))).stdout).toBe("program pulumi-resource-command");
    expect(readdirSync(join(root, "cache", "toolchain")).sort()).toEqual([toolchain.key, `${toolchain.key}.lock`]);
    expect(readdirSync(join(toolchain.home, "plugins", "resource-command-v1.2.1"))).toEqual([
      "pulumi-resource-command",
    ]);
  });

  it("happens once, whoever asks at the same time or later", async () => {
    await serve(published);
    const [one, other] = await Promise.all([downloadToolchain(options()), downloadToolchain(options())]);
    expect(other).toEqual(one);
    await downloadToolchain(options());
    expect(requests.sort()).toEqual(
      Object.values(releases)
        .flatMap(({ archive, sums }) => [`/${archive}`, `/${sums}`])
        .sort(),
    );
  });

  it("refuses an archive that is not the published one, and leaves nothing", async () => {
    writeFileSync(join(root, "www", releases.command.archive), "something else");
    await serve(published);
    await expect(downloadToolchain(options())).rejects.toThrow(
      new RegExp(`${releases.command.archive}: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}`),
    );
    expect(readdirSync(join(root, "cache", "toolchain")).filter((name) => !name.endsWith(".lock"))).toEqual([]);
  });

  it("does not give way to another source when an archive was changed", async () => {
    writeFileSync(join(root, "www", releases.pulumi.archive), "something else");
    await serve(published);
    await expect(find()).rejects.toThrow("expected sha256");
  });

  it.each<[string, RequestListener]>([
    ["answers 404", (_, response) => void response.writeHead(404).end()],
    ["accepts and never answers", () => undefined],
    ["lists no sums", (_, response) => void response.end("<html>")],
  ])("gives way within 5 s to the next source where the host %s", async (_, listener) => {
    await serve(listener);
    const started = performance.now();
    await expect(find()).rejects.toThrow("go is what comes next");
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("gives way where nothing listens", async () => {
    await serve(published);
    server.close();
    await expect(find()).rejects.toThrow("go is what comes next");
  });
});

describe("parseSum", () => {
  const sum = "a".repeat(64);
  it.each([
    [`${sum}  one.tgz`, sum],
    [`${"b".repeat(64)}  other.tgz\r\n${sum.toUpperCase()} *./one.tgz\r\n`, sum],
  ])("reads %j", (text, expected) => {
    expect(parseSum("url", text, "one.tgz")).toBe(expected);
  });

  it.each([
    ["", "url: expected a line for one.tgz, got none"],
    [`${sum}  one.tgz.sig`, "url: expected a line for one.tgz, got none"],
    [`${"a".repeat(40)}  one.tgz`, "url: expected a sha256 for one.tgz, got a sum of 160 bits"],
  ])("refuses %j", (text, message) => {
    expect(() => parseSum("url", text, "one.tgz")).toThrow(message);
  });
});

function options() {
  const env = { ...process.env, ENGINEROOM_PULUMI_URL: base, ENGINEROOM_PULUMI_COMMAND_URL: `${base}/` };
  return { cacheDir: join(root, "cache"), report: silent, env };
}

function find() {
  const go = () => Promise.reject(new Error("go is what comes next"));
  return findToolchain({ ...options(), nodeModules, sources: ["official", "packages"], go });
}

/** Archives as the real ones are laid out, with small programs in them. */
async function publish(): Promise<void> {
  const www = join(root, "www");
  mkdirSync(join(root, "pulumi"), { recursive: true });
  mkdirSync(www);
  const programs = ["pulumi/pulumi", "pulumi/pulumi-language-nodejs", "pulumi/pulumi-resource-pulumi-nodejs"];
  for (const path of [...programs, "pulumi-resource-command"]) {
    writeFileSync(join(root, path), `#!/bin/sh\necho "program \${0##*/}"\n`, { mode: 0o755 });
  }
  const pack = (release: { archive: string }, path: string) =>
    execa("tar", ["-czf", join(www, release.archive), "-C", root, path]);
  await Promise.all([pack(releases.pulumi, "pulumi"), pack(releases.command, "pulumi-resource-command")]);
  for (const { archive, sums } of Object.values(releases)) {
    const sum = createHash("sha256")
      .update(readFileSync(join(www, archive)))
      .digest("hex");
    writeFileSync(join(www, sums), `${sum}  ${archive}\n`);
  }
}

const published: RequestListener = (request, response) => {
  const file = join(root, "www", request.url ?? "");
  if (existsSync(file)) response.end(readFileSync(file));
  else response.writeHead(404).end();
};

async function serve(listener: RequestListener): Promise<void> {
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    listener(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
