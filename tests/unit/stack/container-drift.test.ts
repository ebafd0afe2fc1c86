import { describe, expect, it } from "vitest";
import type { ContainerSeen } from "#observe/docker.ts";
import type { EngineState, Observation, ServiceSeen } from "#observe/observe.ts";
import { findDrift, NOT_HERE } from "#stack/drift.ts";
import { inContainers, planOf } from "#tests/support/stack.ts";

const plan = planOf(
  inContainers({
    services: {
      db: { kind: "postgres" },
      api: { kind: "web", build: "./app", command: ["x"] },
      job: { kind: "job", image: "x", command: ["x"], env: { D: "${db.url}" } },
    },
  }),
);
const HASHES = new Map([
  ["db", "db-hash"],
  ["api", "api-hash"],
  ["job", "job-hash"],
]);
/** 12:34:56 of the machine's own zone, as the reasons have it. */
const AT = new Date(2026, 0, 2, 12, 34, 56).getTime() / 1000;
const FINGERPRINT = { name: "1", image: "1", settings: "1", memory: "1", cpus: "1" };

const container = (service: string, changes: Partial<ContainerSeen> = {}): ContainerSeen => ({
  id: `${service}-0123456789abcdef`,
  state: "running",
  pid: 5,
  exitCode: 0,
  isOutOfMemory: false,
  error: "",
  startedAt: AT - 60,
  endedAt: AT,
  restarts: 0,
  fingerprint: FINGERPRINT,
  ...changes,
});
const well = (service: string): ServiceSeen => ({
  stands: true,
  edited: [],
  history: { starts: [], restarts: 0 },
  container: container(service),
  noted: { id: `${service}-0123456789abcdef`, fingerprint: FINGERPRINT },
  ...(service === "db" && { dataId: "abc" }),
});
const jobDone: ServiceSeen = {
  ...well("job"),
  container: container("job", { state: "exited", pid: 0 }),
  done: { plan: "job-hash", data: { db: "abc" }, at: AT },
};
const ENGINE: EngineState = {
  state: "running",
  containers: [],
  networks: [{ name: "engineroom-test", owner: "lab/test", subnets: [] }],
  volumes: [{ name: "test-db", owner: "lab/test", dataId: "abc" }],
  images: new Set(),
};

interface Seen {
  readonly db?: ServiceSeen;
  readonly api?: ServiceSeen;
  readonly job?: ServiceSeen;
  readonly engine?: EngineState;
  readonly builds?: readonly string[];
}

function driftOf(seen: Seen) {
  const observation: Observation = {
    supervisor: { state: "absent" },
    engine: seen.engine ?? ENGINE,
    services: new Map([
      ["db", seen.db ?? well("db")],
      ["api", seen.api ?? well("api")],
      ["job", seen.job ?? jobDone],
    ]),
    builds: new Set(seen.builds ?? plan.imageBuilds.map(({ key }) => key)),
  };
  const {
    supervisor: _supervisor,
    services,
    builds,
    volumes,
    models: _models,
    ...rest
  } = findDrift(plan, observation, HASHES);
  return {
    ...rest,
    services: Object.fromEntries(services),
    builds: Object.fromEntries(builds),
    volumes: Object.fromEntries(volumes),
  };
}

const NOTHING = { network: undefined, leftovers: undefined, services: {}, builds: {}, volumes: {} };
const api = (changes: Partial<ServiceSeen>): ServiceSeen => ({ ...well("api"), ...changes });
const state = (changes: Partial<ContainerSeen>): ServiceSeen => api({ container: container("api", changes) });

it("finds nothing where all is as planned", () => expect(driftOf({})).toEqual(NOTHING));

describe("a container that is", () => {
  it.each(["running", "restarting"] as const)("%s is left alone", (name) =>
    expect(driftOf({ api: state({ state: name }) })).toEqual(NOTHING),
  );

  it.each<[string, ServiceSeen, string]>([
    ["created", state({ state: "created" }), "it was never started"],
    ["not to be started", state({ state: "created", error: "no /x" }), "it could not be started: no /x"],
    ["paused", state({ state: "paused" }), "it is paused"],
    ["being removed", state({ state: "removing" }), "it is being removed"],
    ["ended", state({ state: "exited", exitCode: 3 }), "exited with code 3 at 12:34:56"],
    ["ended well", state({ state: "exited" }), "exited with code 0 at 12:34:56"],
    ["killed", state({ state: "exited", exitCode: 137 }), "killed at 12:34:56"],
    [
      "out of memory",
      state({ state: "exited", exitCode: 137, isOutOfMemory: true }),
      "killed, out of memory at 12:34:56",
    ],
    [
      "not to be started again",
      state({ state: "exited", exitCode: 128, error: "port is taken" }),
      "it could not be started again: port is taken",
    ],
    ["dead", state({ state: "dead", exitCode: 1 }), "exited with code 1 at 12:34:56"],
    ["gone", api({ container: undefined }), "its container api-01234567 is gone"],
    ["edited", api({ edited: ["/a", "/b"] }), "edited by hand: /a, /b"],
    [
      "changed",
      state({ fingerprint: { ...FINGERPRINT, memory: "2", cpus: "2" } }),
      "its container was changed, not by engineroom: memory, cpus",
    ],
    ["gone altogether", api({ stands: false, container: undefined }), NOT_HERE],
  ])("%s is made so again, and nothing else is", (_what, seen, reason) =>
    expect(driftOf({ api: seen })).toEqual({ ...NOTHING, services: { api: reason } }),
  );

  it("replaced is a leftover, too", () =>
    expect(driftOf({ api: state({ id: "stranger-0123456789" }) })).toEqual({
      ...NOTHING,
      leftovers: "containers of api that were not noted",
      services: { api: "its container api-01234567 was replaced by stranger-012, not by engineroom" },
    }));

  it("not noted is a leftover of a run that was cut off", () =>
    expect(driftOf({ api: api({ noted: undefined }), db: { ...well("db"), noted: undefined } })).toEqual({
      ...NOTHING,
      leftovers: "containers of db, api that were not noted",
      services: { api: "the last change was not completed", db: "the last change was not completed" },
    }));

  it("neither there nor noted had no chance", () =>
    expect(driftOf({ api: api({ noted: undefined, container: undefined }) })).toEqual({
      ...NOTHING,
      services: { api: "the last change was not completed" },
    }));
});

describe("a job in a container", () => {
  const job = (changes: object): ServiceSeen => ({ ...jobDone, ...changes });
  it.each<[string, ServiceSeen, string]>([
    ["that has not succeeded", job({ done: undefined }), "it has not succeeded yet"],
    ["that ran another plan", job({ done: { ...jobDone.done, plan: "old" } }), "the last up ran another plan"],
    ["on other data", job({ done: { ...jobDone.done, data: { db: "old" } } }), "the data of db is not what it ran on"],
    ["that is gone altogether", job({ stands: false }), NOT_HERE],
  ])("%s runs again", (_what, seen, reason) => expect(driftOf({ job: seen }).services).toEqual({ job: reason }));

  it("stays done when somebody has cleared its container away", () =>
    expect(driftOf({ job: job({ container: undefined }) })).toEqual(NOTHING));
});

describe("what the containers share", () => {
  const engine = (changes: object): EngineState => ({ ...ENGINE, ...changes });

  it("a network that is gone is made again", () =>
    expect(driftOf({ engine: engine({ networks: [] }) })).toEqual({ ...NOTHING, network: "it is gone" }));

  it("a volume that is gone is made again, and what ran on its data runs again", () => {
    const { dataId: _id, ...db } = well("db");
    expect(driftOf({ engine: engine({ volumes: [] }), db })).toEqual({
      ...NOTHING,
      volumes: { "test-db": "it is gone" },
      services: { job: "the data of db is not what it ran on" },
    });
  });

  it("an image that is gone is built again", () =>
    expect(driftOf({ builds: [] })).toEqual({
      ...NOTHING,
      builds: Object.fromEntries(plan.imageBuilds.map(({ key }) => [key, "it is gone"])),
    }));

  it("an image of another content than that of the container is new, and not gone", () => {
    const image = (plan.imageBuilds[0]?.reference ?? "").replace(/:\w+$/, ":000000000000");
    const running = { id: container("api").id, name: "test-api", image, labels: {}, ports: [] };
    expect(driftOf({ engine: { ...ENGINE, containers: [running] }, builds: [] })).toEqual(NOTHING);
  });
});

it("on a first up all of it is new, and nothing is gone", () => {
  const fresh: ServiceSeen = { stands: false, edited: [], history: { starts: [], restarts: 0 } };
  const engine: EngineState = { ...ENGINE, networks: [], volumes: [] };
  expect(driftOf({ db: fresh, api: fresh, job: fresh, engine, builds: [] })).toEqual({
    network: NOT_HERE,
    leftovers: undefined,
    services: { db: NOT_HERE, api: NOT_HERE, job: NOT_HERE },
    volumes: { "test-db": NOT_HERE },
    builds: Object.fromEntries(plan.imageBuilds.map(({ key }) => [key, NOT_HERE])),
  });
});

it("of an engine that does not answer nothing is said: preflight does", () => {
  const { container: _container, dataId: _id, ...db } = well("db");
  expect(driftOf({ engine: { state: "down", reason: "ENOENT" }, api: api({ container: undefined }), db })).toEqual(
    NOTHING,
  );
});
