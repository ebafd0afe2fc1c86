import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { observe } from "#observe/observe.ts";
import { hostPlaces, projectPlaces, stackPlaces } from "#stack/places.ts";
import type { StackPlan } from "#stack/plan.ts";
import { context, planOf } from "#tests/support/stack.ts";

// Does not prove: what supervisord answers; tests/unit/observe/supervisord.test.ts and the end-to-end tests do.

/** Nothing answers there; a stack of host services does not ask. */
const NO_ENGINE = "unix:///nowhere/docker.sock";

let dir: string;
let plan: StackPlan;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "er-observe-"));
  const host = hostPlaces({ HOME: dir, ENGINEROOM_RUNTIME_HOME: join(dir, "run") }, 1000);
  plan = planOf(
    {
      services: {
        db: { kind: "postgres" },
        api: { kind: "web", build: "./app", command: ["x"] },
        job: { kind: "job", command: ["x"], env: { D: "${db.url}" } },
      },
    },
    { ...context, host, places: stackPlaces(host, projectPlaces(host, "/x", "lab"), "test") },
  );
});
afterEach(() => rmSync(dir, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
const home = (service: string): string => join(plan.places.servicesDir, service);
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const seen = async (service: string) => (await observe(plan, NO_ENGINE)).services.get(service);

describe("supervisord", () => {
  it("is absent where nothing was ever started", async () =>
    expect((await observe(plan, NO_ENGINE)).supervisor).toEqual({ state: "absent" }));
  it("is down where its settings are and it does not answer", async () => {
    put(join(plan.places.stackDir, "supervisord.conf"), "");
    expect((await observe(plan, NO_ENGINE)).supervisor).toEqual({ state: "down", reason: "ENOENT" });
  });
});

describe("a service's mark", () => {
  it("is not there: it does not stand, and nothing is known of it", async () =>
    expect(await seen("api")).toEqual({ stands: false, edited: [], history: { starts: [], restarts: 0 } }));

  it("tells the plan, and which files are another by now", async () => {
    put(join(home("api"), "same"), "1");
    put(join(home("api"), "other"), "2");
    const files = Object.fromEntries(["same", "other", "gone"].map((name) => [join(home("api"), name), sha256("1")]));
    put(join(home("api"), "installed.json"), JSON.stringify({ plan: "hash", files }));
    expect(await seen("api")).toMatchObject({
      stands: true,
      appliedPlan: "hash",
      edited: [join(home("api"), "other"), join(home("api"), "gone")],
    });
  });

  it.each([
    "",
    "{",
    "null",
    "5",
    '"x"',
    "[]",
    "{}",
    '{"plan":5,"files":{}}',
    '{"plan":"x"}',
    '{"plan":"x","files":null}',
  ])("that is damaged, %j, counts as none", async (text) => {
    put(join(home("api"), "installed.json"), text);
    expect(await seen("api")).toEqual({ stands: true, edited: [], history: { starts: [], restarts: 0 } });
  });
});

describe("a job's mark", () => {
  it("tells the plan and the data that it ran on", async () => {
    const done = { plan: "hash", data: { db: "abc" }, at: 5 };
    put(join(home("job"), "done.json"), JSON.stringify(done));
    expect(await seen("job")).toMatchObject({ done });
  });
  it.each(["", "{}", "5", '{"plan":"x"}', '{"data":{}}'])("that is damaged, %j, counts as none", async (text) => {
    put(join(home("job"), "done.json"), text);
    expect(await seen("job")).not.toHaveProperty("done");
  });
});

it("the id of a service's data is read without its line's end", async () => {
  put(join(plan.places.dataDir, "db/pgdata/engineroom-id"), "abc\n");
  expect(await seen("db")).toMatchObject({ dataId: "abc" });
});

it("a build stands when its mark does", async () => {
  const [build] = plan.builds;
  expect((await observe(plan, NO_ENGINE)).builds).toEqual(new Set());
  put(join(build?.target ?? "", ".done"), "");
  expect((await observe(plan, NO_ENGINE)).builds).toEqual(new Set([build?.key]));
});
