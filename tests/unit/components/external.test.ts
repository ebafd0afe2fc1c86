import { describe, expect, it } from "vitest";
import { pending, ready } from "#checks/check.ts";
import { planText } from "#cli/plan.ts";
import { catalog } from "#components/catalog.ts";
import type { ServiceSeen } from "#observe/observe.ts";
import type { World } from "#observe/world.ts";
import { describePlan } from "#operations/describe-plan.ts";
import { findDrift } from "#stack/drift.ts";
import { loadStack } from "#stack/load.ts";
import { problemLine } from "#stack/problems.ts";
import { printable } from "#stack/text.ts";
import { context, planOf, readable } from "#tests/support/stack.ts";
import { register, worldOf } from "#tests/support/registered.ts";

// What somebody else runs, of every kind that may be.

const secrets = { p: { env: "P" } };
const password = "${secret.p}";
const externals = {
  broker: { kind: "redis", in: "external" },
  db: { kind: "postgres", in: "external", password, host: "db.lan" },
  llm: { kind: "ollama", in: "external", models: ["gemma2:2b"] },
  rest: { kind: "web", in: "external", port: 54321, health: "/rest/v1/" },
  bus: { kind: "mqtt", in: "external", password },
  store: { kind: "object-store", in: "external", secretKey: password, buckets: ["files"] },
};
const whole = { secrets, settings: { portOffset: 100 }, services: externals };
const named = (name: keyof typeof externals) => {
  const service = planOf(whole).services.find((one) => one.name === name)!;
  return readable(service);
};
const linesOf = (services: object): readonly string[] => {
  const loaded = loadStack({ secrets, services }, context);
  return "problems" in loaded ? loaded.problems.map(problemLine) : [];
};

it("is each kind that can be", () =>
  expect(Object.values(externals).map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(Object.entries(catalog).flatMap(([kind, { external }]) => (external ? [kind] : []))),
  ));

it("has this plan: nothing to start, and no port taken", () =>
  expect(named("broker")).toMatchInlineSnapshot(`
  {
    "argv": [],
    "check": {
      "host": "127.0.0.1",
      "kind": "redis",
      "policy": "noeviction",
      "port": 6379,
    },
    "cwd": "STACK",
    "dataKept": true,
    "directories": [],
    "env": {},
    "external": {
      "host": "127.0.0.1",
      "port": 6379,
    },
    "files": [],
    "gates": [],
    "generates": [],
    "in": "external",
    "kind": "redis",
    "logFile": "STACK/logs/broker.log",
    "name": "broker",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "password": [
        "",
      ],
      "port": [
        "6379",
      ],
      "url": [
        "redis://127.0.0.1:6379/0",
      ],
    },
    "ports": [],
    "readyTimeoutMs": 15000,
    "required": true,
    "restart": "no",
    "run": "service",
    "stopGraceMs": 0,
    "stopSignal": "TERM",
    "tools": [],
  }
`));

it.each<[keyof typeof externals, object]>([
  ["broker", { kind: "redis", host: "127.0.0.1", port: 6379, policy: "noeviction" }],
  [
    "db",
    {
      kind: "postgres",
      host: "db.lan",
      port: 5432,
      user: "app",
      database: "app",
      passwordFile: "CONTAINERS/db/private/files/password",
    },
  ],
  ["llm", { kind: "ollama", url: "http://127.0.0.1:11434", models: ["gemma2:2b"] }],
  ["rest", { kind: "http", url: "http://127.0.0.1:54321/rest/v1/" }],
  [
    "bus",
    {
      kind: "mqtt",
      host: "127.0.0.1",
      port: 1883,
      user: "app",
      passwordFile: "CONTAINERS/bus/private/files/password",
    },
  ],
  [
    "store",
    {
      kind: "object-store",
      url: "http://127.0.0.1:9000",
      region: "us-east-1",
      accessKey: "app",
      secretKeyFile: "CONTAINERS/store/private/files/secret-key",
      buckets: ["files"],
    },
  ],
])("%s is asked as one of its kind", (name, check) => expect(named(name).check).toEqual(check));

describe("who refers to it", () => {
  const envOf = (external: object, place: "host" | "container") => {
    const app = {
      kind: "web",
      in: place,
      command: ["run"],
      env: { URL: "${broker.url}" },
      ...(place === "container" && { image: "x" }),
    };
    const { services } = planOf({ secrets, services: { broker: { kind: "redis", in: "external", ...external }, app } });
    return {
      url: printable(services.find(({ name }) => name === "app")!.env["URL"]!),
      names: services.map(({ name }) => name),
    };
  };

  it("gets its address", () => expect(envOf({ host: "redis.lan" }, "host").url).toBe("redis://redis.lan:6379/0"));
  it("gets its password as a secret", () =>
    expect(envOf({ password }, "host").url).toBe("redis://:(secret secret.p)@127.0.0.1:6379/0"));
  it("in a container reaches another machine by itself", () =>
    expect(envOf({ host: "redis.lan" }, "container")).toEqual({
      url: "redis://redis.lan:6379/0",
      names: ["broker", "app"],
    }));
  it("in a container reaches this host's loopback by the relay", () =>
    expect(envOf({}, "container")).toEqual({
      url: "redis://host.docker.internal:6379/0",
      names: ["relay", "broker", "app"],
    }));

  it("starts after the port answers, too, when all start at once", () => {
    const app = { kind: "web", command: ["run"], env: { URL: "${broker.url}" } };
    const { services } = planOf({ services: { broker: externals.broker, app } });
    expect(services[1]!.gates).toEqual([{ port: { host: "127.0.0.1", port: 6379 } }]);
  });

  it("a worker finds its broker without a password", () => {
    const worker = { kind: "dramatiq-worker", build: "./app", module: "tasks", env: { REDIS_URL: "${broker.url}" } };
    const other = { kind: "redis", port: 7000 };
    const { services } = planOf({ services: { other, broker: externals.broker, worker } });
    expect(services.find(({ name }) => name === "worker")).toMatchObject({
      consumes: { broker: "broker" },
      check: { host: "127.0.0.1", port: 6379, worker: { port: 6379, isDirect: false } },
    });
  });
});

describe("registers", () => {
  const stackOf = (service: object): World => worldOf({ secrets, services: { broker: service } });
  const registered = async (world: World) => [...(await register(world)).values()];
  const namesOf = async (service: object) => (await registered(stackOf(service))).map(({ name }) => name).sort();

  it("its proof alone", async () => expect(await namesOf(externals.broker)).toEqual(["broker", "broker-ready"]));

  it("the file with its password, which stands in no plain input", async () => {
    const found = await registered(stackOf({ ...externals.broker, password }));
    expect(found.map(({ name, secretInputs }) => [name, secretInputs])).toEqual([
      ["broker", []],
      ["broker-files", ["stdin"]],
      ["broker-ready", []],
    ]);
  });

  it("what was seen to be wrong, so that it is asked again; else what was seen stays as recorded", async () => {
    const ready = async (services: ReadonlyMap<string, string>) => {
      const world = stackOf(externals.broker);
      const found = await registered({ ...world, drift: { ...world.drift, services } });
      const { inputs, ignoreChanges } = found.find(({ name }) => name === "broker-ready")!;
      return [inputs["drift"], ignoreChanges];
    };
    expect(await ready(new Map())).toEqual(["", ["drift"]]);
    expect(await ready(new Map([["broker", "it refused"]]))).toEqual([
      expect.stringMatching(/^it refused \(seen \d{4}-/),
      [],
    ]);
  });
});

describe("seen as", () => {
  const driftOf = (settings: object, seen: Partial<ServiceSeen>) => {
    const plan = planOf({ services: { broker: { ...externals.broker, ...settings } } });
    const found = { stands: true, edited: [], history: { starts: [], restarts: 0 }, ...seen };
    const observation = {
      supervisor: { state: "absent" },
      engine: { state: "unused" },
      builds: new Set<string>(),
    } as const;
    return findDrift(plan, { ...observation, services: new Map([["broker", found]]) }, new Map()).services.get(
      "broker",
    );
  };
  it.each<[string, object, Partial<ServiceSeen>, string | undefined]>([
    ["well", {}, { external: ready("it answers") }, undefined],
    ["silent", {}, { external: pending("it refused") }, "it refused"],
    ["not required, and silent", { required: false }, { external: pending("it refused") }, undefined],
    ["never asked", {}, {}, undefined],
    ["another password by hand", {}, { edited: ["password"] }, "edited by hand: password"],
  ])("%s", (_title, settings, seen, reason) => expect(driftOf(settings, seen)).toBe(reason));
});

it("plan says that it is somebody else's", () => {
  const plan = planOf({ services: { broker: externals.broker } });
  expect(planText(describePlan(plan, plan.services)).split("\n").slice(3)).toEqual([
    "broker (redis, external)",
    "  runs        elsewhere, at 127.0.0.1:6379: engineroom only asks it",
    "  ready when  set a key and read it on 127.0.0.1:6379, eviction policy noeviction, within 15 s",
    "  offers      ${broker.host} = 127.0.0.1",
    "              ${broker.port} = 6379",
    "              ${broker.password} = ",
    "              ${broker.url} = redis://127.0.0.1:6379/0",
    "",
  ]);
});

describe("a mistake", () => {
  it.each<[string, unknown, string]>([
    ["maxMemory", "1GiB", "broker"],
    ["stopGrace", "5s", "broker"],
    ["env", { A: "1" }, "broker"],
    ["command", ["run"], "rest"],
    ["build", "./app", "rest"],
    ["data", "kept", "db"],
    ["containerName", "x", "llm"],
  ])("is %s, which who runs it decides", (key, value, name) =>
    expect(linesOf({ [name]: { ...externals[name as keyof typeof externals], [key]: value } })).toEqual([
      `services.${name}.${key}: expected it only where engineroom runs the service, got a service with in: external. Fix: remove it: who runs the service decides that [STACK_PLACE]`,
    ]),
  );

  it("is a host of what engineroom runs", () =>
    expect(linesOf({ broker: { kind: "redis", host: "redis.lan" } })).toEqual([
      "services.broker.host: expected it only where `in` is `external`, got a service that engineroom runs. Fix: remove it, or set `in` to external [STACK_PLACE]",
    ]));

  it("is a kind that engineroom always runs itself", () =>
    expect(linesOf({ edge: { kind: "nginx", in: "external" } })).toEqual([
      "services.edge.in: expected host or container: engineroom runs each nginx itself, got external. Fix: take the service out, and name the one that runs elsewhere with kind: web and in: external [STACK_PLACE]",
    ]));

  it("is a database without a password", () =>
    expect(linesOf({ db: { kind: "postgres", in: "external" } })).toEqual([
      "services.db.password: expected `${secret.NAME}`, which names a secret of engineroom:secrets, got nothing. Fix: pulumi config set --secret --path engineroom:secrets.NAME, then write services.db.password: ${secret.NAME} [SECRET_MISPLACED]",
    ]));

  it("is the port of a service that engineroom is to start", () =>
    expect(linesOf({ broker: externals.broker, own: { kind: "redis" } })).toEqual([
      "services.own.port: expected a port of its own, got 6379 (its default), which `broker` has too. Fix: set services.own.port to another number [PORT_CLASH]",
    ]));

  it("is not two names of one server", () => expect(linesOf({ a: externals.broker, b: externals.broker })).toEqual([]));
  it("is not the same port on another machine", () =>
    expect(linesOf({ a: { ...externals.broker, host: "redis.lan" }, b: { kind: "redis" } })).toEqual([]));

  it("is a host that is an address of something", () =>
    expect(linesOf({ broker: { ...externals.broker, host: "redis://x" } })).toEqual([
      'services.broker.host: expected a host\'s name, or an IPv4 address, got `"redis://x"`. Fix: correct services.broker.host [STACK_VALUE]',
    ]));
});
