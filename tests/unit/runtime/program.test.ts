import { beforeAll, describe, expect, it } from "vitest";
import { catalog } from "#components/catalog.ts";
import { publicOutputs } from "#runtime/program.ts";
import { noDrift, register, worldOf, type Registered } from "#tests/support/registered.ts";
import { context as plain, source } from "#tests/support/stack.ts";
import { paperGround, wholeStack } from "#tests/support/whole-stack.ts";

// Proves what is handed to the engine, not what the engine does with it.

const world = worldOf(wholeStack(paperGround), plain);
let found: ReadonlyMap<string, Registered>;
const get = (name: string): Registered => {
  const resource = found.get(name);
  if (!resource) throw new Error(`${name} was not registered`);
  return resource;
};
const all = (suffix: string): readonly Registered[] => [...found.values()].filter(({ name }) => name.endsWith(suffix));

beforeAll(async () => {
  process.env["FIELDS_TOKEN"] = "canary-token";
  found = await register(world);
});

const COMMAND = "command:local:Command";
const dynamic = (type: string) => `pulumi-nodejs:dynamic/engineroom:${type}`;

it("registers exactly these", () =>
  expect([...found.values()].map(({ type, name, parent }) => `${parent ?? ""} / ${type} ${name}`).sort()).toEqual(
    [
      ` / ${COMMAND} supervisor`,
      ` / ${COMMAND} build-app`,
      ` / ${COMMAND} build-pages`,
      ` / ${dynamic("GeneratedSecret")} db-password`,
      ` / ${dynamic("GeneratedSecret")} broker-password`,
      ` / ${dynamic("GeneratedSecret")} bus-password`,
      ` / ${dynamic("GeneratedSecret")} store-secretKey`,
      ...world.plan.services.flatMap(({ name, kind, run }) => [
        ` / engineroom:service:${catalog[kind]?.className ?? ""} ${name}`,
        `${name} / ${COMMAND} ${name}-${run === "job" ? "run" : "process"}`,
        ...(run === "job" ? [] : [`${name} / ${dynamic("Ready")} ${name}-ready`]),
      ]),
      `chat / ${dynamic("ModelFile")} chat-model`,
      `llm / ${dynamic("OllamaModel")} llm-model-gemma:latest`,
    ].sort(),
  ));

it("registers the same in a preview", async () => {
  const preview = await register(world, true);
  expect([...preview.keys()].sort()).toEqual([...found.keys()].sort());
});

it("leaves out what cannot run and is not required, and nobody waits for it", async () => {
  const problem = { code: "MODEL_FILE", where: "models.gemma", expected: "a model", got: "none", fix: "bring it" };
  const without = await register(world, false, new Map([["chat", problem]]));
  const gone = [...found.keys()].filter((name) => !without.has(name));
  expect(gone.sort()).toEqual(["chat", "chat-model", "chat-process", "chat-ready"]);
  expect(without.get("api-process")?.dependsOn).not.toContain("chat-ready");
});

describe("order", () => {
  it.each<[string, readonly string[]]>([
    ["db-process", ["db-password", "supervisor"]],
    ["broker-process", ["broker-password", "supervisor"]],
    ["chat-process", ["chat-model", "supervisor"]],
    ["migrate-run", ["build-app", "db-password", "db-ready", "supervisor"]],
    [
      "api-process",
      [
        ...["broker-password", "broker-ready", "build-app", "chat-ready", "db-password", "db-ready", "migrate-run"],
        "supervisor",
      ],
    ],
    ["site-process", ["build-pages", "supervisor"]],
    // Routes are not waited for.
    ["edge-process", ["supervisor"]],
    ["tick-process", ["api-ready", "supervisor"]],
    ["api-ready", ["api-process"]],
    ["supervisor", []],
    ["chat-model", []],
  ])("%s waits for %j", (name, dependsOn) => expect(get(name).dependsOn).toEqual(dependsOn));
});

describe("secrets", () => {
  it("reach a command by a secret standard input only", () => {
    for (const { name, secretInputs, inputs } of [...all("-process"), ...all("-run")]) {
      const plan = (inputs["environment"] as { PLAN: string }).PLAN;
      const wanted = plan.includes('"secret":');
      expect([name, secretInputs]).toEqual([name, wanted ? ["stdin"] : []]);
      if (!wanted) expect(inputs["stdin"]).toBe("{}");
    }
  });

  it("hold what the service wants, and nothing of others", () => {
    const values = (name: string): unknown => JSON.parse((get(name).inputs["stdin"] as { value: string }).value);
    expect(Object.keys(values("db-process") as object)).toEqual(["db.password"]);
    expect(values("tick-process")).toEqual({ "secret.token": "canary-token" });
  });

  it("stand in no plain input", () => {
    for (const { name, inputs, secretInputs } of found.values()) {
      const open = Object.fromEntries(Object.entries(inputs).filter(([key]) => !secretInputs.includes(key)));
      expect([name, /canary-token|made for/.test(JSON.stringify(open))]).toEqual([name, false]);
    }
  });

  it("that are made are marked as such in the state", () =>
    expect(all("-password").map(({ additionalSecretOutputs }) => additionalSecretOutputs)).toEqual([
      ["value"],
      ["value"],
      ["value"],
    ]));
});

describe("commands", () => {
  it("are constant one-liners with paths inside the project", () => {
    const lines = [...found.values()]
      .filter(({ type }) => type === COMMAND)
      .flatMap(({ inputs }) =>
        ["create", "update", "delete"].flatMap((key) => (inputs[key] as string | undefined) ?? []),
      );
    expect([...new Set(lines)].sort()).toEqual(
      [
        "apply.py job start",
        "apply.py job stop",
        "apply.py service start",
        "apply.py service stop",
        "apply.py supervisor start",
        "apply.py supervisor stop",
        "build.py",
      ].map((script) => `exec "$ENGINEROOM_PYTHON" -S -E -s -B runtime/${script}`),
    );
  });

  it("keep nothing but a token in the state", () => {
    for (const { type, inputs } of found.values()) {
      if (type === COMMAND) expect(inputs).toMatchObject({ logging: "none", addPreviousOutputInEnv: false });
    }
  });
});

describe("what was seen", () => {
  it("is an input that stays as recorded while all is well", () => {
    for (const { type, ignoreChanges, inputs } of found.values()) {
      if (type !== COMMAND) continue;
      expect(ignoreChanges).toEqual(["environment.DRIFT"]);
      expect((inputs["environment"] as { DRIFT: string }).DRIFT).toBe("");
    }
  });

  it("is the reason, and new, where something is wrong: there and nowhere else", async () => {
    const drift = {
      ...noDrift,
      supervisor: "it is dead",
      services: new Map([["api", "killed"]]),
      builds: new Map([[world.plan.builds[0]?.key ?? "", "it is gone"]]),
    };
    const drifted = await register({ ...world, drift });
    const reasons = [...drifted.values()].flatMap(({ name, inputs, ignoreChanges }) => {
      const { DRIFT } = (inputs["environment"] ?? {}) as { DRIFT?: string };
      return DRIFT ? [[name, DRIFT.replace(/\d{4}-\S+Z/, "TIME"), ignoreChanges]] : [];
    });
    expect(reasons.sort()).toEqual([
      ["api-process", "killed (seen TIME)", []],
      ["build-app", "it is gone (seen TIME)", []],
      ["supervisor", "it is dead (seen TIME)", []],
    ]);
  });
});

it("a model that is gone is an input of its resource alone", async () => {
  const models = new Map([["llm", new Map([["gemma:latest", "it is gone"]])]]);
  const drifted = await register({ ...world, drift: { ...noDrift, models } });
  const model = drifted.get("llm-model-gemma:latest");
  expect(model?.inputs["drift"]).toMatch(/^it is gone \(seen \d{4}-/);
  expect(model?.ignoreChanges).toEqual([]);
  expect(drifted.get("llm-process")?.inputs).toEqual(found.get("llm-process")?.inputs);
  const well = get("llm-model-gemma:latest");
  expect([well.inputs["drift"], well.ignoreChanges]).toEqual(["", ["drift"]]);
});

describe("dynamic resources", () => {
  it("carry a constant text below 1.5 KB, one for each module", () => {
    const texts = new Map(
      [...found.values()].flatMap(({ type, inputs }) => (inputs["__provider"] ? [[type, inputs["__provider"]]] : [])),
    );
    expect(texts.size).toBe(4);
    for (const text of texts.values()) expect((text as string).length).toBeLessThan(1536);
  });

  it("know their own URN, to show progress under it", () => {
    const own = [...all("-ready"), ...all("-model"), ...all("-model-gemma:latest")];
    for (const { name, type, parent, inputs } of own) {
      const kind = get(parent ?? "").type;
      const { progressUrn = inputs["progressUrn"] } = (inputs["server"] ?? {}) as { progressUrn?: unknown };
      expect(progressUrn).toBe(`urn:pulumi:test::engineroom::${kind}$${type}::${name}`);
    }
  });
});

it("gives out what is no secret", () =>
  expect(publicOutputs(world.plan.services)).toEqual({
    db: { host: "127.0.0.1", port: "5532", user: "app", database: "app" },
    broker: { host: "127.0.0.1", port: "6479" },
    chat: { host: "127.0.0.1", port: "8181", url: "http://127.0.0.1:8181" },
    llm: { host: "127.0.0.1", port: "11534", url: "http://127.0.0.1:11534" },
    api: { host: "127.0.0.1", port: "8100", url: "http://127.0.0.1:8100", listen: "127.0.0.1" },
    poller: { queue: "transcribe@gpu" },
    bus: { host: "127.0.0.1", port: "1983", user: "app" },
    store: {
      ...{ host: "127.0.0.1", port: "9100", url: "http://127.0.0.1:9100" },
      ...{ region: "us-east-1", accessKey: "app" },
    },
    metrics: { host: "127.0.0.1", port: "9190", url: "http://127.0.0.1:9190" },
    site: { host: "127.0.0.1", port: "3100", url: "http://127.0.0.1:3100" },
    edge: { host: "127.0.0.1", port: "8180", url: "http://127.0.0.1:8180" },
    tick: { host: "127.0.0.1", port: "7000", url: "http://127.0.0.1:7000", listen: "127.0.0.1" },
  }));

it("two applications in directories of the same name are two builds", async () => {
  const sources = new Map([
    ["./app", source("/home/me/lab/app", "python")],
    ["/srv/app", source("/srv/app", "python", { hash: "c".repeat(64) })],
  ]);
  const web = (build: string, port: number) => ({ kind: "web", build, port, command: ["run"] });
  const raw = { services: { one: web("./app", 1), two: web("/srv/app", 2) } };
  const both = await register(worldOf(raw, { ...plain, sources }));
  const names = [...both.values()].filter(({ name }) => name.startsWith("build-")).map(({ name }) => name);
  expect(new Set(names).size).toBe(2);
});

it.each([
  ["kept as it is declared", "declared", true],
  ["taken away where the small one has its name", "small", false],
])("a model that is pulled is %s, of data that is kept", async (_what, models, kept) => {
  const services = { llm: { kind: "ollama", models: ["gemma2:2b"] } };
  const made = await register(worldOf({ settings: { models }, services }, plain));
  expect(made.get("llm-model-gemma2:2b")?.inputs["kept"]).toBe(kept);
});
