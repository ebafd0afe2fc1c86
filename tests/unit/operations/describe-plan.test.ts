import { describe, expect, it } from "vitest";
import type { Check } from "#checks/check.ts";
import { planText } from "#cli/plan.ts";
import { checkWords, describePlan } from "#operations/describe-plan.ts";
import { hostPlaces, projectPlaces, stackPlaces } from "#stack/places.ts";
import { loadStack } from "#stack/load.ts";
import type { StackPlan } from "#stack/plan.ts";

const CANARY = "canary's %s $word";

/** With no tool installed. */
function planOf(services: Readonly<Record<string, object>>, secrets = {}): StackPlan {
  const host = hostPlaces({ ENGINEROOM_STATE_HOME: "/s", ENGINEROOM_CACHE_HOME: "/c", HOME: "/h" }, 1000);
  const places = stackPlaces(host, projectPlaces(host, "/p"), "x");
  const loaded = loadStack(
    { services, secrets },
    {
      host,
      places,
      tools: {},
      images: undefined,
      account: "me",
      accountIds: "1000:1000",
      bytesOf: () => 0,
      sources: new Map(),
      envFiles: new Map(),
    },
  );
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
  return loaded.plan;
}

const PLAN = planOf(
  {
    db: { kind: "postgres", memory: "512MiB" },
    app: {
      kind: "process",
      command: ["sh", "-c", "sleep 9"],
      env: { KEY: "${secret.token}", DATABASE_URL: "${db.url}" },
      required: false,
    },
    off: { kind: "process", command: ["true"], enabled: false },
  },
  { token: CANARY, other: { env: "OTHER" }, made: { generate: 32 } },
);

describe("describePlan", () => {
  const described = describePlan(PLAN, PLAN.services);

  it("names secrets and never shows one", () => {
    expect(JSON.stringify(described)).not.toContain("canary");
    expect(described.services[1]?.env).toMatchObject({
      KEY: "(secret secret.token)",
      DATABASE_URL: "postgresql://app:(secret db.password)@127.0.0.1:5432/app",
    });
    expect(described.secrets).toEqual([
      { name: "token", from: "the stack file, encrypted" },
      { name: "other", from: "the variable OTHER" },
      { name: "made", from: "generated, 32 bytes" },
    ]);
  });

  it("says in its readable form what people ask first", () => {
    const text = planText(described);
    expect(text).not.toContain("canary");
    for (const line of [
      "stack x",
      "db (postgres, host)",
      "  listens     127.0.0.1:5432",
      "  memory      512 MiB, watched, not enforced",
      "app (process, host, not required)",
      "  runs        sh -c 'sleep 9'",
      "  after       db is ready",
      "  disabled    off",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });
});

describe("checkWords", () => {
  it.each<[Check, string]>([
    [
      { kind: "http", url: "http://h/p", json: { status: "ok" }, header: { name: "x-a", value: "b" } },
      'http://h/p answers 200, "status": "ok", the header x-a: b',
    ],
    [
      { kind: "postgres", host: "h", port: 1, user: "u", database: "d", passwordFile: "/f" },
      "select a row as u in d on h:1",
    ],
    [
      { kind: "redis", host: "h", port: 1, policy: "noeviction" },
      "set a key and read it on h:1, eviction policy noeviction",
    ],
    [
      { kind: "llama-server", url: "http://h", alias: "m", contextSize: 512 },
      "http://h generates a token with m, context 512",
    ],
    [
      {
        kind: "llama-server",
        url: "http://h",
        alias: "m",
        contextSize: 512,
        gpu: { required: true, layers: "all" },
      },
      "http://h generates a token with m, context 512, with all layers on a GPU",
    ],
    [
      { kind: "ollama", url: "http://h", models: ["m"], gpu: { required: false } },
      "http://h has m, and m does a unit of work, on a GPU if there is one",
    ],
    [
      { kind: "alive", seconds: 1, gpu: { required: true, devices: "all" } },
      "stays up for 1 s, with a GPU in its container",
    ],
    [
      { kind: "dramatiq-worker", host: "h", port: 1, processes: 1, namespace: "n" },
      "a process of its own consumes from h:1",
    ],
    [
      { kind: "dramatiq-worker", host: "h", port: 1, processes: 2, namespace: "n" },
      "2 processes of its own consume from h:1",
    ],
    [{ kind: "tcp", host: "h", port: 1 }, "h:1 accepts a connection"],
    [{ kind: "command", argv: ["a", "b"] }, "a b ends with exit code 0"],
    [{ kind: "alive", seconds: 1 }, "stays up for 1 s"],
  ])("of %o", (check, words) => {
    expect(checkWords(check)).toBe(words);
  });
});
