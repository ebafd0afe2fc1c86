import { describe, expect, it } from "vitest";
import type { Observation, ServiceSeen, SupervisorSeen } from "#observe/observe.ts";
import type { ProgramState } from "#observe/supervisord.ts";
import { findDrift, NOT_HERE } from "#stack/drift.ts";
import { planOf } from "#tests/support/stack.ts";

const plan = (restart = "always") =>
  planOf({
    services: {
      db: { kind: "postgres" },
      api: { kind: "web", build: "./app", command: ["x"], restart },
      job: { kind: "job", command: ["x"], env: { D: "${db.url}" } },
    },
  });

const HASHES = new Map([
  ["db", "db-hash"],
  ["api", "api-hash"],
  ["job", "job-hash"],
]);
/** 12:34:56 of the machine's own zone, as the reasons have it. */
const AT = new Date(2026, 0, 2, 12, 34, 56).getTime() / 1000;

const program = (name: string, changes: Partial<ProgramState> = {}): ProgramState => ({
  ...{ name, state: "RUNNING", pid: 5, exitStatus: 0, startedAt: AT, stoppedAt: AT, spawnError: "" },
  ...changes,
});
const well = (name: string): ServiceSeen => ({
  stands: true,
  program: program(name),
  appliedPlan: `${name}-hash`,
  edited: [],
  history: { starts: [], restarts: 0 },
  ...(name === "db" && { dataId: "abc" }),
});
const jobDone: ServiceSeen = {
  stands: true,
  edited: [],
  history: { starts: [], restarts: 0 },
  done: { plan: "job-hash", data: { db: "abc" }, at: AT },
};

function driftOf(
  seen: {
    api?: ServiceSeen;
    db?: ServiceSeen;
    job?: ServiceSeen;
    supervisor?: SupervisorSeen;
    builds?: readonly string[];
  },
  restart?: string,
) {
  const observation: Observation = {
    supervisor: seen.supervisor ?? { state: "running" },
    engine: { state: "unused" },
    services: new Map([
      ["db", seen.db ?? well("db")],
      ["api", seen.api ?? well("api")],
      ["job", seen.job ?? jobDone],
    ]),
    builds: new Set(seen.builds ?? ["app-aaaaaaaaaaaa"]),
  };
  const { supervisor, services, builds } = findDrift(plan(restart), observation, HASHES);
  return { supervisor, services: Object.fromEntries(services), builds: Object.fromEntries(builds) };
}

const NOTHING = { supervisor: undefined, services: {}, builds: {} };
const api = (changes: Partial<ServiceSeen>): ServiceSeen => ({ ...well("api"), ...changes });
const state = (changes: Partial<ProgramState>): ServiceSeen => api({ program: program("api", changes) });

it("finds nothing where all is as planned", () => expect(driftOf({})).toEqual(NOTHING));

describe("a program that is", () => {
  it.each(["RUNNING", "STARTING", "BACKOFF", "STOPPING"] as const)("%s is left alone", (name) =>
    expect(driftOf({ api: state({ state: name }) })).toEqual(NOTHING),
  );

  it.each<[string, ServiceSeen, string]>([
    ["stopped", state({ state: "STOPPED" }), "stopped at 12:34:56"],
    ["not to be started", state({ state: "FATAL", spawnError: "can't find command" }), "can't find command"],
    ["fatal for no reason given", state({ state: "FATAL" }), "could not be started"],
    ["unknown", state({ state: "UNKNOWN" }), "could not be started"],
    ["ended", state({ state: "EXITED", exitStatus: 3 }), "exited with code 3 at 12:34:56"],
    ["ended well", state({ state: "EXITED", exitStatus: 0 }), "exited with code 0 at 12:34:56"],
    ["killed", state({ state: "EXITED", exitStatus: -1 }), "killed by a signal at 12:34:56"],
    [
      "given up",
      api({
        program: program("api", { state: "EXITED", exitStatus: 78 }),
        history: { starts: [], restarts: 5, gaveUpAt: AT },
      }),
      "gave up at 12:34:56: it ended soon after each of 6 starts",
    ],
    ["another plan", api({ appliedPlan: "old" }), "the last up applied another plan"],
    ["edited", api({ edited: ["/a", "/b"] }), "edited by hand: /a, /b"],
    ["gone altogether", api({ stands: false }), NOT_HERE],
  ])("%s is made so again, and nothing else is", (_what, seen, reason) =>
    expect(driftOf({ api: seen })).toEqual({ ...NOTHING, services: { api: reason } }),
  );

  it("not known to supervisord", () => {
    const { program: _program, ...rest } = well("api");
    expect(driftOf({ api: rest }).services).toEqual({ api: "supervisord does not know it" });
  });

  it("half applied", () => {
    const { appliedPlan: _plan, ...rest } = well("api");
    expect(driftOf({ api: rest }).services).toEqual({ api: "the last change was not completed" });
  });

  it("not to be restarted by itself", () =>
    expect(driftOf({ api: state({ state: "EXITED", exitStatus: -1 }) }, "no").services).toEqual({
      api: "killed by a signal at 12:34:56 (restart: no)",
    }));
});

describe("a job", () => {
  const job = (changes: object): ServiceSeen => ({ ...jobDone, ...changes });
  it.each<[string, ServiceSeen, string]>([
    ["that has not succeeded", job({ done: undefined }), "it has not succeeded yet"],
    ["that ran another plan", job({ done: { ...jobDone.done, plan: "old" } }), "the last up ran another plan"],
    ["on other data", job({ done: { ...jobDone.done, data: { db: "old" } } }), "the data of db is not what it ran on"],
    ["that is gone altogether", job({ stands: false }), NOT_HERE],
  ])("%s runs again", (_what, seen, reason) => expect(driftOf({ job: seen }).services).toEqual({ job: reason }));

  it("runs again when its data was wiped", () => {
    const { dataId: _id, ...db } = well("db");
    expect(driftOf({ db }).services).toEqual({ job: "the data of db is not what it ran on" });
  });

  it("does not care whether supervisord runs", () =>
    expect(driftOf({ supervisor: { state: "down", reason: "ECONNREFUSED" } }).services).not.toHaveProperty("job"));
});

describe("supervisord", () => {
  it("that does not answer is started again, with all its programs", () =>
    expect(driftOf({ supervisor: { state: "down", reason: "ECONNREFUSED" } })).toEqual({
      supervisor: "supervisord does not answer (ECONNREFUSED)",
      services: { db: "supervisord is down", api: "supervisord is down" },
      builds: {},
    }));
  it("that was never there does not stand", () =>
    expect(driftOf({ supervisor: { state: "absent" } }).supervisor).toBe(NOT_HERE));
  it("of somebody else is for preflight to say", () =>
    expect(driftOf({ supervisor: { state: "foreign", owner: "x" } }).supervisor).toBeUndefined());
});

describe("a model that a server is to have", () => {
  const llm = planOf({
    models: { gemma: { file: "g.gguf" } },
    services: { llm: { kind: "ollama", models: ["x", { from: "gemma" }] } },
  });
  const modelsOf = (models: ServiceSeen["models"]) => {
    const services = new Map([["llm", { ...well("llm"), ...(models && { models }) }]]);
    const seen: Observation = {
      supervisor: { state: "running" },
      engine: { state: "unused" },
      services,
      builds: new Set(),
    };
    const drift = findDrift(llm, seen, new Map([["llm", "llm-hash"]]));
    return [[...drift.services], [...drift.models].map(([service, missing]) => [service, [...missing]])];
  };
  const GONE = "the server does not have it; up brings it";

  it.each<[string, ServiceSeen["models"], readonly unknown[]]>([
    [
      "is there",
      [
        { name: "x:latest", digest: "1" },
        { name: "gemma:latest", digest: "2" },
      ],
      [],
    ],
    ["is gone", [{ name: "x:latest", digest: "1" }], [["llm", [["gemma:latest", GONE]]]]],
    [
      "is gone with all others",
      [],
      [
        [
          "llm",
          [
            ["x:latest", GONE],
            ["gemma:latest", GONE],
          ],
        ],
      ],
    ],
    ["is not known to be gone while no server answers", undefined, []],
  ])("%s", (_what, models, expected) => expect(modelsOf(models)).toEqual([[], expected]));
});

it("a build that is gone is made again", () =>
  expect(driftOf({ builds: [] })).toEqual({ ...NOTHING, builds: { "app-aaaaaaaaaaaa": NOT_HERE } }));
