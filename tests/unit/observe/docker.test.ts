import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { changesIn, inspectContainer, lookAtEngine, volumeDataId, type ContainerSeen } from "#observe/docker.ts";

// The answers were recorded from Docker 20.10.24.
interface Inspected {
  readonly Id: string;
  readonly State: object;
  readonly HostConfig: object;
  readonly Config: object;
  readonly NetworkSettings: object;
}
const recorded = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, "recorded", `${name}.json`), "utf8"));
const container = recorded("container") as Inspected;
const changed = recorded("container-changed") as Inspected;
const never = recorded("container-never") as Inspected;
const engine = recorded("engine") as Readonly<Record<string, unknown>>;

let dir: string;
let server: Server;
let answers: Readonly<Record<string, unknown>>;
const host = (): string => `unix://${join(dir, "docker.sock")}`;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "er-docker-"));
  server = createServer(({ url = "" }, response) => {
    const answer = answers[url];
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { message: `No such thing: ${url}` }));
  });
  await new Promise<void>((resolve) => server.listen(join(dir, "docker.sock"), resolve));
});
beforeEach(() => {
  answers = engine;
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

async function seen(inspected: Inspected): Promise<ContainerSeen> {
  answers = { "/containers/x/json": inspected };
  const found = await inspectContainer(host(), "x");
  if (!found) throw new Error("not seen");
  return found;
}

describe("one look at the engine", () => {
  it("finds the containers, running or not, with their labels and ports", async () => {
    const { containers } = await lookAtEngine(host());
    expect(
      containers.map(({ name, image, labels, ports }) => [name, image, labels["engineroom.service"], ports]),
    ).toEqual([
      ["er-rec-job", "engineroom/redis:a0b41b9dc692", "job", []],
      ["er-rec-created", "engineroom/redis:a0b41b9dc692", "never", []],
      ["er-rec-one", "engineroom/redis:a0b41b9dc692", "broker", [31_379]],
    ]);
    expect(containers.map(({ id }) => id)).toEqual([expect.any(String), never.Id, container.Id]);
  });

  it("finds whose networks, volumes and images there are", async () => {
    const { networks, volumes, images } = await lookAtEngine(host());
    expect(networks).toContainEqual({ name: "er-rec", owner: "lab/test", subnets: ["10.77.1.0/24"] });
    expect(networks).toContainEqual({ name: "er-rec-two", owner: "", subnets: ["10.77.2.0/24"] });
    expect(networks).toContainEqual({ name: "none", owner: "", subnets: [] });
    expect(volumes).toEqual([
      { name: "er-rec", owner: "lab/test", dataId: "it is gone (seen 2026-01-02T03:04:05.678Z)" },
    ]);
    expect([...images]).toEqual(["engineroom/redis:a0b41b9dc692", `valkey/valkey@sha256:${"0".repeat(64)}`]);
  });

  it("takes an engine that has nothing", async () => {
    answers = {
      "/containers/json?all=1": [],
      "/networks": [],
      "/volumes": { Volumes: null },
      "/images/json": [{ RepoTags: null, RepoDigests: null }],
    };
    expect(await lookAtEngine(host())).toEqual({ containers: [], networks: [], volumes: [], images: new Set() });
  });

  it("throws where nobody answers", async () =>
    await expect(lookAtEngine(`unix://${dir}/none.sock`)).rejects.toMatchObject({ code: "ENOENT" }));
});

describe("a container", () => {
  it("that runs", async () => {
    const { fingerprint: _fingerprint, startedAt, pid, ...rest } = await seen(container);
    expect(rest).toEqual({
      id: container.Id,
      state: "running",
      exitCode: 0,
      isOutOfMemory: false,
      error: "",
      endedAt: 0,
      restarts: 0,
    });
    expect(pid).toBe((container.State as { readonly Pid: number }).Pid);
    expect(new Date(startedAt * 1000).toISOString()).toMatch(/^2026-11-22T12:19:/);
  });

  it("that could not be started says why", async () => {
    const { error, ...rest } = await seen(never);
    expect(error).toMatch(/exec: "\/nope": stat \/nope: no such file or directory/);
    expect(rest).toMatchObject({ state: "created", pid: 0, exitCode: 127, startedAt: 0, endedAt: 0 });
  });

  it("that is not there is none", async () => {
    answers = {};
    expect(await inspectContainer(host(), "x")).toBeUndefined();
  });
});

describe("a fingerprint", () => {
  const changes = async (now: Inspected) =>
    changesIn((await seen(container)).fingerprint, (await seen(now)).fingerprint).toSorted();
  const withHost = (more: object): Inspected => ({ ...container, HostConfig: { ...container.HostConfig, ...more } });
  const withConfig = (more: object): Inspected => ({ ...container, Config: { ...container.Config, ...more } });

  it("shows no secret and no setting: only hashes", async () => {
    const { fingerprint } = await seen(withConfig({ Env: ["PASSWORD=canary"] }));
    expect(Object.values(fingerprint).every((hash) => /^[0-9a-f]{16}$/.test(hash))).toBe(true);
  });

  it("stays while the container runs, ends and starts again", async () => {
    const State = { ...container.State, Status: "exited", Pid: 0, ExitCode: 1, FinishedAt: "2026-11-22T13:00:00Z" };
    expect(await changes({ ...container, State })).toEqual([]);
  });

  it("names what docker update, rename and network connect have changed", async () =>
    expect(await changes(changed)).toEqual(["cpus", "memory", "name", "networks", "restart policy"]));

  it.each<[string, Inspected, string]>([
    ["docker update --memory", withHost({ Memory: 134_217_728, MemorySwap: 134_217_728 }), "memory"],
    ["docker update --cpus", withHost({ NanoCpus: 1_500_000_000 }), "cpus"],
    ["docker update --restart", withHost({ RestartPolicy: { Name: "no", MaximumRetryCount: 0 } }), "restart policy"],
    ["another image", { ...container, Image: "sha256:other" } as Inspected, "image"],
    ["another variable", withConfig({ Env: ["A=b"] }), "settings"],
    ["another command", withConfig({ Cmd: ["sh"] }), "settings"],
    ["another label", withConfig({ Labels: {} }), "settings"],
    ["more rights", withHost({ CapAdd: ["CAP_SYS_ADMIN"] }), "settings"],
    ["another port", withHost({ PortBindings: {} }), "settings"],
    ["another mount", { ...container, Mounts: [] } as Inspected, "settings"],
    ["another network", { ...container, NetworkSettings: { ...container.NetworkSettings, Networks: {} } }, "networks"],
  ])("names the part that %s is", async (_what, now, part) => expect(await changes(now)).toEqual([part]));
});

it("a volume's data id is why and when it was made", async () => {
  const [volume] = (engine["/volumes"] as { readonly Volumes: readonly object[] }).Volumes;
  answers = { "/volumes/er-rec": volume, "/volumes/first": { ...volume, Labels: null } };
  expect(await volumeDataId(host(), "er-rec")).toBe("it is gone (seen 2026-01-02T03:04:05.678Z)");
  expect(await volumeDataId(host(), "first")).toBe("");
});
