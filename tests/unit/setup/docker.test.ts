import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { engineWords, judgeEngine, type Engine, type Here, type NoEngine } from "#setup/docker.ts";
import { engineHost } from "#setup/docker-api.ts";
import { lockedReference, readLock } from "#setup/images/lock.ts";
import { npmPin } from "#setup/images/npm.ts";
import { imageNames } from "#setup/image-references.ts";

const engine: Engine = {
  host: "unix:///var/run/docker.sock",
  version: "28.2.2",
  apiVersion: "1.50",
  cgroupVersion: 2,
  storageDriver: "overlay2",
  rootDir: "/var/lib/docker",
  freeBytes: 50 * 2 ** 30,
  runtimes: ["io.containerd.runc.v2", "runc"],
  cdiDevices: [],
  rootless: false,
};
const user: Here = { asRoot: false, debianLike: true, systemd: true };
const rootInContainer: Here = { asRoot: true, debianLike: true, systemd: false };

describe("judgeEngine", () => {
  it("has nothing against one that is new enough and has room", () => {
    expect(judgeEngine({ engine }, user)).toEqual([]);
    expect(judgeEngine({ engine: { ...engine, apiVersion: "1.41", freeBytes: undefined } }, user)).toEqual([]);
  });

  it("names all that is wrong", () => {
    const old = { ...engine, version: "19.03", apiVersion: "1.40", freeBytes: 2 ** 29 };
    expect(judgeEngine({ engine: old }, user)).toEqual([
      {
        code: "DOCKER_OLD",
        where: "Docker engine at unix:///var/run/docker.sock",
        expected: "Docker 20.10 or newer (API 1.41)",
        got: "19.03 (API 1.40)",
        fix: "bring it up to date: https://docs.docker.com/engine/install/",
      },
      {
        code: "DOCKER_DISK",
        where: "/var/lib/docker, where the Docker engine keeps images and volumes",
        expected: "2.0 GiB free",
        got: "0.5 GiB",
        fix: "free some; docker system df tells what takes how much",
      },
    ]);
  });

  it.each<[NoEngine["reason"], Here, string]>([
    ["not installed", user, "sudo ./engineroom setup --docker"],
    ["not installed", rootInContainer, "./engineroom setup --docker"],
    ["not installed", { ...user, debianLike: false }, "install it (https://docs.docker.com/engine/install/)"],
    ["not running", user, "sudo systemctl enable --now docker"],
    ["not running", rootInContainer, "./engineroom setup --docker"],
    ["no permission", user, "sudo usermod -aG docker $USER, then log in anew; members of that group can become root"],
  ])("says what to do when it is %s", (reason, here, fix) => {
    const none = { host: engine.host, reason, detail: "connect ENOENT /var/run/docker.sock" };
    expect(judgeEngine({ none }, here)).toEqual([
      {
        code: "DOCKER_UNREACHABLE",
        where: "Docker engine at unix:///var/run/docker.sock",
        expected: "an answer",
        got: reason === "not installed" ? "none: no engine is installed" : `${reason} (${none.detail})`,
        fix,
      },
    ]);
  });

  it("starts none where DOCKER_HOST leads elsewhere", () => {
    const none = { host: "tcp://10.0.0.1:2375", reason: "not running", detail: "connect ECONNREFUSED" } as const;
    expect(judgeEngine({ none }, rootInContainer)[0]?.fix).toBe(
      "start the engine that listens there, or unset what names it (DOCKER_HOST, docker context use default)",
    );
  });
});

it("engineWords names what matters for containers", () => {
  expect(engineWords(engine)).toBe(
    "28.2.2 (API 1.50) at unix:///var/run/docker.sock, cgroup v2, overlay2, 50.0 GiB free",
  );
  const gpu = { ...engine, freeBytes: undefined, rootless: true, runtimes: ["nvidia", "runc"] };
  expect(engineWords({ ...gpu, cdiDevices: ["nvidia.com/gpu=all"] })).toBe(
    "28.2.2 (API 1.50) at unix:///var/run/docker.sock, cgroup v2, overlay2, rootless, GPU: nvidia, nvidia.com/gpu=all",
  );
});

describe("engineHost", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "engineroom-docker-"));
  });
  afterEach(() => {
    rmSync(home, { recursive: true });
  });

  function writeContext(name: string, host: string): void {
    const dir = join(home, ".docker", "contexts", "meta", createHash("sha256").update(name).digest("hex"));
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }));
    writeFileSync(join(home, ".docker", "config.json"), JSON.stringify({ currentContext: name }));
  }

  it("is the usual socket where nothing names another", () => {
    expect(engineHost({ HOME: home })).toBe("unix:///var/run/docker.sock");
  });

  it("is that of the current context", () => {
    writeContext("rootless", "unix:///run/user/1000/docker.sock");
    expect(engineHost({ HOME: home })).toBe("unix:///run/user/1000/docker.sock");
    expect(engineHost({ HOME: home, DOCKER_CONTEXT: "default" })).toBe("unix:///var/run/docker.sock");
    expect(engineHost({ HOME: "/nowhere", DOCKER_CONFIG: join(home, ".docker") })).toBe(
      "unix:///run/user/1000/docker.sock",
    );
  });

  it("is DOCKER_HOST before all", () => {
    writeContext("rootless", "unix:///run/user/1000/docker.sock");
    expect(engineHost({ HOME: home, DOCKER_HOST: "tcp://127.0.0.1:2375" })).toBe("tcp://127.0.0.1:2375");
  });
});

describe("the image lock", () => {
  const image = { repository: "docker.io/library/node", tag: "24-slim", digest: "sha256:12" };

  it("names an image by its digest, where there is one", () => {
    expect(lockedReference(image)).toBe("docker.io/library/node:24-slim@sha256:12");
    expect(lockedReference({ ...image, digest: null })).toBe("docker.io/library/node:24-slim");
  });

  it("keeps the path on a mirror", () => {
    expect(lockedReference(image, "127.0.0.1:5000")).toBe("127.0.0.1:5000/library/node:24-slim@sha256:12");
    expect(lockedReference(image, "mirror.example/hub/")).toBe("mirror.example/hub/library/node:24-slim@sha256:12");
  });

  it("has every image, with a whole digest or none", () => {
    const lock = readLock();
    expect(Object.keys(lock)).toEqual([...imageNames]);
    const forms = Object.values(lock).map(({ digest }) => digest?.replace(/[0-9a-f]{64}$/, "HEX") ?? null);
    expect(forms.filter((form) => form !== "sha256:HEX" && form !== null)).toEqual([]);
  });
});

it("the image node holds the Node that the launcher gets", () => {
  expect(npmPin.node.version).toMatch(/^24\.\d+\.\d+$/);
  expect(npmPin.node.sha512).toMatch(/^[0-9a-f]{128}$/);
});
