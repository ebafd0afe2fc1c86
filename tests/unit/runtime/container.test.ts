import { beforeAll, describe, expect, it } from "vitest";
import { catalog } from "#components/catalog.ts";
import type { EngineGpus } from "#observe/gpu.ts";
import type { World } from "#observe/world.ts";
import { cpusText } from "#runtime/container.ts";
import { specHash } from "#runtime/container-spec.ts";
import { noDrift, register, worldOf, type Registered } from "#tests/support/registered.ts";
import { context, readable } from "#tests/support/stack.ts";
import { containedStack, paperGround } from "#tests/support/whole-stack.ts";

// Proves what is handed to Pulumi, not what the docker provider does with it.

const world = worldOf(containedStack(paperGround), context);
let found: ReadonlyMap<string, Registered>;
const get = (name: string): Registered => {
  const resource = found.get(name);
  if (!resource) throw new Error(`${name} was not registered`);
  return resource;
};

interface Container {
  readonly labels: readonly { readonly label: string; readonly value: string }[];
  readonly ports: readonly { readonly ip: string }[];
  readonly mounts: readonly { readonly type: string; readonly target: string; readonly readOnly?: boolean }[];
  readonly readOnly: boolean;
  readonly memory: number;
  readonly [key: string]: unknown;
}
const CONTAINER = "docker:index/container:Container";
const containers = (): readonly (readonly [string, Registered, Container])[] =>
  [...found.values()]
    .filter(({ type }) => type === CONTAINER)
    .map((resource) => [resource.parent ?? "", resource, resource.inputs as Container]);

/** As the mock of the engine gives ids. */
const withoutHashes = (inputs: object): unknown =>
  JSON.parse(JSON.stringify(inputs).replaceAll(/-[0-9a-f]{64}\b/g, "-HASH"));

beforeAll(async () => {
  process.env["FIELDS_TOKEN"] = "canary-token";
  found = await register(world);
});

const COMMAND = "command:local:Command";
const dynamic = (type: string) => `pulumi-nodejs:dynamic/engineroom:${type}`;

it("registers exactly these", () =>
  expect([...found.values()].map(({ type, name, parent }) => `${parent ?? ""} / ${type} ${name}`).sort()).toEqual(
    [
      ` / ${COMMAND} containers`,
      ` / ${COMMAND} network`,
      ...["db", "broker", "llm", "beat", "bus", "store", "metrics"].map(
        (service) => ` / docker:index/volume:Volume volume-test-${service}`,
      ),
      ...["app", "pages"].flatMap((directory) => [
        ` / ${COMMAND} image-${directory}-context`,
        ` / docker:index/remoteImage:RemoteImage image-${directory}`,
      ]),
      ` / ${dynamic("GeneratedSecret")} db-password`,
      ` / ${dynamic("GeneratedSecret")} broker-password`,
      ` / ${dynamic("GeneratedSecret")} bus-password`,
      ` / ${dynamic("GeneratedSecret")} store-secretKey`,
      ...world.plan.services.flatMap(({ name, kind }) => [
        ` / engineroom:service:${catalog[kind]?.className ?? ""} ${name}`,
        ...(world.containerSpecs.get(name)?.files ? [`${name} / ${COMMAND} ${name}-files`] : []),
        `${name} / ${CONTAINER} ${name}-container`,
        `${name} / ${dynamic("Ready")} ${name}-ready`,
      ]),
      `chat / ${dynamic("ModelFile")} chat-model`,
      `llm / ${dynamic("OllamaModel")} llm-model-gemma:latest`,
    ].sort(),
  ));

it("registers the same in a preview", async () => {
  const preview = await register(world, true);
  expect([...preview.keys()].sort()).toEqual([...found.keys()].sort());
});

describe("order", () => {
  const shared = ["containers", "network"];
  it.each<[string, readonly string[]]>([
    ["db-files", [...shared, "db-password", "volume-test-db"]],
    ["db-container", [...shared, "db-files", "volume-test-db"]],
    ["db-ready", [...shared, "db-container", "volume-test-db"]],
    ["chat-container", ["chat-model", ...shared]],
    ["migrate-container", [...shared, "db-ready", "image-app", "migrate-files"]],
    ["api-container", ["api-files", "broker-ready", "chat-ready", ...shared, "db-ready", "image-app", "migrate-ready"]],
    ["site-container", [...shared, "image-pages", "site-files"]],
    // Routes are not waited for.
    ["edge-container", [...shared, "edge-files"]],
    ["tick-container", ["api-ready", ...shared, "tick-files"]],
  ])("%s waits for %j", (name, dependsOn) => expect(get(name).dependsOn).toEqual([...dependsOn].sort()));
});

describe("a container", () => {
  it("is handed over like this", () => {
    const { labels, ...inputs } = get("db-container").inputs as Container;
    expect(withoutHashes(readable(inputs))).toMatchInlineSnapshot(`
      {
        "capabilities": {
          "adds": [],
          "drops": [
            "ALL",
          ],
        },
        "command": [
          "/run/engineroom/start.sh",
        ],
        "destroyGraceSeconds": 60,
        "entrypoints": [
          "/bin/sh",
        ],
        "envs": [
          "ENGINEROOM_SERVICE=db",
          "ENGINEROOM_STACK=test",
          "HOME=/tmp",
          "LANG=C.UTF-8",
          "PGBIN=/usr/lib/postgresql/18/bin",
          "PGDATA=/var/lib/postgresql/pgdata",
          "PGDATABASE_WANTED=app",
          "PGHOME=/run/engineroom",
          "PGLISTEN=0.0.0.0",
          "PGMAXCONNECTIONS=100",
          "PGPORT=5432",
          "PGSHAREDBUFFERS=131072kB",
          "PGSOCKETS=/tmp",
          "PGUSER_WANTED=app",
          "PYTHONUNBUFFERED=1",
        ],
        "hosts": [],
        "image": "postgres:18",
        "init": true,
        "logDriver": "json-file",
        "logOpts": {
          "max-file": "3",
          "max-size": "10m",
        },
        "memory": 1184,
        "memorySwap": 1184,
        "mounts": [
          {
            "readOnly": true,
            "source": "CONTAINERS/db/private/files",
            "target": "/run/engineroom",
            "type": "bind",
          },
          {
            "target": "/tmp",
            "tmpfsOptions": {
              "mode": 1023,
            },
            "type": "tmpfs",
          },
        ],
        "mustRun": false,
        "name": "test-db",
        "networkMode": "bridge",
        "networksAdvanced": [
          {
            "aliases": [
              "db",
            ],
            "name": "network-HASH",
          },
        ],
        "ports": [
          {
            "external": 5532,
            "internal": 5432,
            "ip": "127.0.0.1",
            "protocol": "tcp",
          },
        ],
        "readOnly": true,
        "restart": "unless-stopped",
        "securityOpts": [
          "no-new-privileges:true",
        ],
        "shmSize": 256,
        "stopSignal": "SIGINT",
        "stopTimeout": 60,
        "user": "999:999",
        "volumes": [
          {
            "containerPath": "/var/lib/postgresql",
            "volumeName": "test-db",
          },
        ],
        "wait": false,
      }
    `);
    expect(labels.map(({ label, value }) => [label, /^[0-9a-f]{64}$/.test(value) ? "HASH" : value])).toEqual([
      ["engineroom.stack", "test"],
      ["engineroom.service", "db"],
      ["engineroom.owner", "lab/test"],
      ["engineroom.project", "/home/me/lab"],
      ["engineroom.files", "HASH"],
      ["engineroom.drift", ""],
    ]);
  });

  it("has no rights that it does not need, and cannot get any", () => {
    for (const [service, , inputs] of containers()) {
      const spec = world.containerSpecs.get(service);
      expect([service, inputs]).toMatchObject([
        service,
        {
          capabilities: { drops: ["ALL"], adds: spec?.capabilities },
          securityOpts: ["no-new-privileges:true"],
          readOnly: spec?.readOnly,
          networkMode: "bridge",
          networksAdvanced: [{ name: expect.stringMatching(/^network-/) as unknown, aliases: [service] }],
        },
      ]);
      expect([service, "privileged" in inputs, "devices" in inputs, "pidMode" in inputs]).toEqual([
        service,
        false,
        false,
        false,
      ]);
      expect(inputs.mounts.filter(({ type, readOnly }) => type === "bind" && readOnly !== true)).toEqual([]);
      expect(inputs.mounts.some(({ target }) => target === "/tmp")).toBe(inputs.readOnly);
    }
  });

  it.each([
    [1, "1.0"],
    [12, "12.0"],
    [10, "10."],
    [0.5, "0.5"],
    [1.25, "1.25"],
  ])("has %d CPUs in the provider's own spelling", (cpus, text) => {
    expect(cpusText(cpus)).toBe(text);
  });

  it("has a limit of memory, and no swap beside it", () => {
    for (const [service, , { memory, memorySwap }] of containers()) {
      expect([service, memorySwap]).toEqual([service, memory]);
      expect(memory).toBeGreaterThan(0);
    }
  });

  it("is published on loopback alone, unless it says otherwise", () => {
    expect(new Set(containers().flatMap(([, , { ports }]) => ports.map(({ ip }) => ip)))).toEqual(
      new Set(["127.0.0.1"]),
    );
  });

  it("has as long to stop when it is removed as when it is stopped", () => {
    for (const [service, , { stopTimeout, destroyGraceSeconds }] of containers()) {
      expect([service, destroyGraceSeconds]).toEqual([service, stopTimeout]);
    }
  });

  it("leaves it to the proof whether it runs, and does not wait by itself", () => {
    for (const [, , inputs] of containers()) expect(inputs).toMatchObject({ mustRun: false, wait: false, init: true });
  });

  it("makes room for the next one, also after a failed start", () => {
    for (const [, { deleteBeforeReplace, replaceOnChanges }] of containers()) {
      expect(deleteBeforeReplace).toBe(true);
      expect(replaceOnChanges).toEqual(["#initerror", "healthcheck", "tmpfs", "init", "cpuPeriod", "cpuQuota", "rm"]);
    }
  });

  it("is known by its id and by all that it was made from", () => {
    for (const [service] of containers()) {
      const spec = world.containerSpecs.get(service);
      expect(get(`${service}-ready`).inputs).toMatchObject({
        token: expect.stringMatching(new RegExp(`^${service}-container-`)) as unknown,
        container: { home: `${context.places.containersDir}/${service}`, spec: spec && specHash(spec) },
      });
    }
    expect(readable(get("db-ready").inputs["container"])).toMatchObject({ home: "CONTAINERS/db", volume: "test-db" });
    expect(readable(get("migrate-ready").inputs["container"])).toMatchObject({
      job: { doneFile: "CONTAINERS/migrate/done.json", data: { db: "CONTAINERS/db/data-id" } },
    });
    expect(get("migrate-ready").inputs).not.toHaveProperty("check");
  });
});

describe("what was seen", () => {
  it("is the last label, which stays as recorded while all is well", () => {
    for (const [service, { ignoreChanges }, { labels }] of containers()) {
      expect([service, labels.at(-1)]).toEqual([service, { label: "engineroom.drift", value: "" }]);
      expect(ignoreChanges).toEqual([`labels[${labels.length - 1}].value`]);
    }
  });

  it("is the reason, and new, where something is wrong: there and nowhere else", async () => {
    const key = world.plan.imageBuilds.find(({ resource }) => resource === "image-app")?.key ?? "";
    const drifted = await register({
      ...world,
      drift: {
        ...noDrift,
        services: new Map([["api", "killed"]]),
        network: "it is gone",
        leftovers: "one of nobody",
        volumes: new Map([["test-db", "it is gone, too"]]),
        builds: new Map([[key, "no image"]]),
      },
    });
    const reasons = [...drifted.values()].flatMap(({ name, inputs, ignoreChanges }) => {
      const { DRIFT } = (inputs["environment"] ?? {}) as { readonly DRIFT?: string };
      const label = (inputs as Partial<Container>).labels?.find(({ label: is }) => is === "engineroom.drift")?.value;
      const { drift } = (inputs["triggers"] ?? {}) as { readonly drift?: string };
      const reason = DRIFT || label || drift;
      return reason ? [[name, reason.replace(/\d{4}-\S+Z/, "TIME"), ignoreChanges]] : [];
    });
    expect(reasons.sort()).toEqual([
      ["api-container", "killed (seen TIME)", []],
      ["api-files", "killed (seen TIME)", []],
      ["containers", "one of nobody (seen TIME)", []],
      ["image-app", "no image (seen TIME)", []],
      ["image-app-context", "no image (seen TIME)", []],
      ["network", "it is gone (seen TIME)", []],
      ["volume-test-db", "it is gone, too (seen TIME)", []],
    ]);
  });
});

describe("secrets", () => {
  it("reach the files by a secret standard input only", () => {
    for (const { name, secretInputs, inputs } of found.values()) {
      if (!name.endsWith("-files")) continue;
      const wanted = (inputs["environment"] as { readonly PLAN: string }).PLAN.includes('"secret":');
      expect([name, secretInputs]).toEqual([name, wanted ? ["stdin"] : []]);
      if (!wanted) expect(inputs["stdin"]).toBe("{}");
    }
  });

  it("hold what the service wants, and nothing of others", () => {
    const values = (name: string): unknown => JSON.parse((get(name).inputs["stdin"] as { value: string }).value);
    expect(Object.keys(values("db-files") as object)).toEqual(["db.password"]);
    expect(Object.keys(values("api-files") as object).sort()).toEqual(["broker.password", "db.password"]);
    expect(values("tick-files")).toEqual({ "secret.token": "canary-token" });
  });

  it("stand in no setting of a container: not in its environment, labels or command", () => {
    for (const [service, { secretInputs }, inputs] of containers()) {
      expect([service, secretInputs, /canary-token|made for/.test(JSON.stringify(inputs))]).toEqual([
        service,
        [],
        false,
      ]);
    }
  });

  it("stand in no other plain input", () => {
    for (const { name, inputs, secretInputs } of found.values()) {
      const open = Object.fromEntries(Object.entries(inputs).filter(([key]) => !secretInputs.includes(key)));
      expect([name, /canary-token|made for/.test(JSON.stringify(open))]).toEqual([name, false]);
    }
  });

  it("change the container where they change its files, without being in it", async () => {
    process.env["FIELDS_TOKEN"] = "another-canary-token";
    const after = await register(world);
    process.env["FIELDS_TOKEN"] = "canary-token";
    const different = [...found.keys()].filter(
      (name) => JSON.stringify(found.get(name)?.inputs) !== JSON.stringify(after.get(name)?.inputs),
    );
    expect(different.sort()).toEqual(["tick-container", "tick-files", "tick-ready"]);
  });
});

describe("a GPU", () => {
  const uuid = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a";
  const card = { index: 0, uuid, name: "GeForce RTX 2080", driver: "580.142" };
  const gpus = (engine: EngineGpus): World["gpus"] => ({
    look: { state: "seen", gpus: [card], processes: [] },
    engine,
  });
  const asking = worldOf({
    settings: { in: "container" },
    services: { box: { kind: "container", image: "app:1", gpu: { count: 1, required: false } } },
  });
  const requests = async (gpus: World["gpus"]) =>
    (await register({ ...asking, ...(gpus && { gpus }) })).get("box-container")?.inputs["deviceRequests"];

  it("is asked for as the engine hands it out", async () =>
    expect([
      await requests(gpus({ cdiDevices: ["nvidia.com/gpu=0"], hasToolkit: true })),
      await requests(gpus({ cdiDevices: [], hasToolkit: true })),
    ]).toEqual([
      [{ driver: "cdi", deviceIds: ["nvidia.com/gpu=0"] }],
      [{ driver: "nvidia", deviceIds: ["0"], capabilities: ["gpu"] }],
    ]));

  it("is not asked for where the engine hands none out, or there is none", async () =>
    expect([
      await requests(gpus({ cdiDevices: [], hasToolkit: false })),
      await requests({ look: { state: "none", reason: "no nvidia-smi", detail: "" } }),
    ]).toEqual([undefined, undefined]));
});
