import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, describe } from "vitest";
import { askEngine } from "#setup/docker-api.ts";
import { findEngine } from "#setup/docker.ts";
import { startDockerd } from "#setup/docker-engine.ts";
import { host, removeLeftovers, testLabels } from "../../support/containers.ts";
import { describeWithDocker } from "../../support/docker.ts";
import { until } from "../../support/until.ts";

// Short: a unix socket's path holds 107 bytes, and containerd adds to it.
const dir = mkdtempSync(join(tmpdir(), "er-"));
afterAll(() => {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

describeWithDocker("findEngine", () => {
  it("tells what the engine says of itself", async () => {
    const look = await findEngine({ DOCKER_HOST: host });
    expect(look).toEqual({
      engine: {
        host,
        version: expect.stringMatching(/^\d+\.\d+/) as string,
        apiVersion: expect.stringMatching(/^1\.\d+$/) as string,
        cgroupVersion: existsSync("/sys/fs/cgroup/cgroup.controllers") ? 2 : 1,
        storageDriver: expect.any(String) as string,
        rootDir: expect.stringMatching(/^\//) as string,
        freeBytes: expect.any(Number) as number,
        runtimes: expect.arrayContaining(["runc"]) as string[],
        cdiDevices: expect.any(Array) as string[],
        rootless: false,
      },
    });
  });
});

describe("findEngine, where nobody answers", () => {
  it("tells a socket without a listener", async () => {
    const look = await findEngine({ DOCKER_HOST: `unix://${dir}/nobody.sock` });
    expect(look).toMatchObject({
      none: { reason: "not running", detail: expect.stringContaining("ENOENT") as string },
    });
  });

  it("tells a port without a listener", async () => {
    expect(await findEngine({ DOCKER_HOST: "tcp://127.0.0.1:1" })).toMatchObject({ none: { reason: "not running" } });
  });

  it("tells one that stays silent", async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(join(dir, "silent.sock"), resolve));
    const look = await findEngine({ DOCKER_HOST: `unix://${dir}/silent.sock` });
    expect(look).toMatchObject({ none: { reason: "no answer", detail: "no answer in time" } });
    server.close();
  });

  it("tells an address that it cannot speak to", async () => {
    const look = await findEngine({ DOCKER_HOST: "ssh://somewhere" });
    expect(look).toMatchObject({
      none: { reason: "no answer", detail: "expected unix://PATH or tcp://HOST:PORT, got ssh://somewhere" },
    });
  });
});

const notRoot = process.getuid?.() === 0 ? undefined : "only root can start an engine";

// Engines beside the one that is in use, with everything of their own.
describeWithDocker(
  "startDockerd",
  () => {
    const bridge = `er-${process.pid}`;
    beforeAll(async () => {
      await removeLeftovers();
      const json = { Name: bridge, Labels: testLabels, Options: { "com.docker.network.bridge.name": bridge } };
      await askEngine(host, { method: "POST", path: "/networks/create", json });
    });
    afterAll(removeLeftovers);

    const start = (name: string, ...args: string[]) => {
      const home = join(dir, name);
      // Not `--bridge=none`: that removes docker0, which belongs to the engine in use.
      const own = [`--bridge=${bridge}`, "--iptables=false", `--exec-root=${home}/run`, ...args];
      const lines: string[] = [];
      const logFile = join(home, "log");
      const pidFile = join(home, "pid");
      const secret = { ...process.env, PULUMI_CONFIG_PASSPHRASE: "of the shell" };
      const options = { env: secret, report: (line: string) => lines.push(line), logFile, pidFile };
      return { logFile, lines, begin: () => startDockerd({ ...options, host: `unix://${home}/sock`, args: own }) };
    };

    it("starts one that answers, in a session of its own, and never a second", async () => {
      const { begin, lines, logFile } = start("one", "--storage-driver=vfs", `--data-root=${dir}/one/data`);
      const pid = await begin();
      try {
        expect(await begin()).toBe(pid);
        expect(lines).toEqual([
          `dockerd: started, process ${pid} (log ${logFile}); kill ${pid} ends it, with its containers`,
        ]);
        const [, , , session] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
        expect(Number(session)).toBe(pid);
        expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain("of the shell");
      } finally {
        process.kill(pid, "SIGTERM");
        await until("its end", () => !existsSync(`/proc/${pid}/exe`));
      }
    });

    it("says why one does not start", async () => {
      // A directory below a file.
      const { begin, logFile } = start("two", `--data-root=${dir}/two/log/data`);
      await expect(begin()).rejects.toMatchObject({
        code: "SETUP_FAILED",
        fix: expect.stringContaining(logFile) as string,
      });
      await expect(begin()).rejects.toThrow(/expected it to start, got: it ended with 1; its log: .*not a directory/);
    });
  },
  notRoot,
);
