import { existsSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { RawStack } from "#stack/load.ts";
import { noDrift, register, worldOf, type Registered } from "#tests/support/registered.ts";
import { inContainers, readable } from "#tests/support/stack.ts";

// What a stack's containers share. Proves what is handed to Pulumi, not what the docker provider does with it.

const raw: RawStack = inContainers({
  services: {
    db: { kind: "postgres" },
    broker: { kind: "redis", data: "disposable", volumeName: "queue" },
    cache: { kind: "redis", port: 6380, role: "cache" },
    api: { kind: "web", build: "./app", command: ["x"] },
    worker: { kind: "process", build: "./app", command: ["y"] },
    proxy: { kind: "nginx", in: "host", routes: { "/": "${api.url}" } },
  },
});
const world = worldOf(raw);
let found: ReadonlyMap<string, Registered>;
const get = (name: string, all = found): Registered => {
  const resource = all.get(name);
  if (!resource) throw new Error(`${name} was not registered`);
  return resource;
};

const [image] = world.plan.imageBuilds;
const hash = image?.reference.split(":")[1] ?? "";
/** With a word for the hash of the application's content. */
const withoutHash = <Value>(value: Value): Value =>
  JSON.parse(JSON.stringify(readable(value)).replaceAll(hash, "HASH")) as Value;

beforeAll(async () => {
  found = await register(world);
});

it("is nothing where no service is a container", async () => {
  const host = await register(worldOf({ services: { db: { kind: "postgres" } } }));
  expect([...host.values()].filter(({ type, name }) => type.startsWith("docker:") || name === "containers")).toEqual(
    [],
  );
});

it("the network is this", () => {
  const { inputs, ignoreChanges, deleteBeforeReplace, replaceOnChanges, retainOnDelete } = get("network");
  const { PLAN } = inputs["environment"] as { readonly PLAN: string };
  expect(JSON.parse(PLAN)).toMatchInlineSnapshot(`
    {
      "gateway": "10.103.120.1",
      "labels": {
        "engineroom.owner": "lab/test",
        "engineroom.project": "/home/me/lab",
        "engineroom.stack": "test",
      },
      "name": "engineroom-test",
      "subnet": "10.103.120.0/24",
    }
  `);
  expect({ ignoreChanges, deleteBeforeReplace, replaceOnChanges, retainOnDelete }).toEqual({
    ignoreChanges: ["environment.DRIFT"],
    deleteBeforeReplace: true,
    replaceOnChanges: ["environment.PLAN", "environment.DRIFT", "triggers[*]"],
    retainOnDelete: false,
  });
});

describe("volumes", () => {
  it("are those of the services that keep something", () =>
    expect([...found.keys()].filter((name) => name.startsWith("volume-")).sort()).toEqual([
      "volume-queue",
      "volume-test-db",
    ]));

  it("outlive the stack only where they are to be kept, and are never made beside their old self", () => {
    const { deleteBeforeReplace } = get("volume-test-db");
    expect([get("volume-test-db").retainOnDelete, get("volume-queue").retainOnDelete]).toEqual([true, false]);
    expect([deleteBeforeReplace, get("volume-queue").deleteBeforeReplace]).toEqual([true, true]);
  });

  it.each([
    [{}, {}, true],
    [{ data: "disposable" }, {}, false],
    [{ data: "disposable" }, { data: "kept" }, true],
    [{ data: "kept" }, { data: "disposable" }, false],
  ])("with settings %j and a service's %j are kept: %s", async (settings, service, isKept) => {
    const stack = inContainers({ settings, services: { db: { kind: "postgres", ...service } } });
    expect(get("volume-test-db", await register(worldOf(stack))).retainOnDelete).toBe(isKept);
  });

  it("say whose they are; why they were made comes last, and stays as recorded", () => {
    const { inputs, ignoreChanges } = get("volume-queue");
    expect(inputs).toEqual({
      name: "queue",
      labels: [
        { label: "engineroom.stack", value: "test" },
        { label: "engineroom.owner", value: "lab/test" },
        { label: "engineroom.project", value: "/home/me/lab" },
        { label: "engineroom.service", value: "broker" },
        { label: "engineroom.drift", value: "" },
      ],
    });
    expect(ignoreChanges).toEqual(["labels[4].value"]);
  });
});

describe("an application's image", () => {
  it("is made once for all who run it", () =>
    expect([...found.keys()].filter((name) => name.startsWith("image-")).sort()).toEqual([
      "image-app",
      "image-app-context",
    ]));

  it("is made of a copy of its source", () => {
    const { PLAN } = get("image-app-context").inputs["environment"] as { readonly PLAN: string };
    const { dockerfile, ...plan } = withoutHash(JSON.parse(PLAN) as { readonly dockerfile: string });
    expect(plan).toEqual({
      key: "app-HASH",
      kind: "image",
      source: "PROJECT/app",
      target: "CACHE/builds/image-app-HASH",
    });
    expect(dockerfile).toBe(image?.dockerfile);
    expect(get("image-app").dependsOn).toEqual(["image-app-context"]);
  });

  it("is handed over like this", () => {
    const { build, ...inputs } = withoutHash(get("image-app").inputs) as { readonly build: Record<string, unknown> };
    const { secrets, ...rest } = build;
    expect({ ...inputs, build: rest }).toMatchInlineSnapshot(`
      {
        "build": {
          "buildLogFile": "CACHE/builds/image-app-HASH/build.log",
          "context": "CACHE/builds/image-app-HASH/context",
          "dockerfile": "Dockerfile",
          "label": {
            "engineroom.owner": "lab/test",
            "engineroom.project": "PROJECT",
            "engineroom.stack": "test",
          },
        },
        "keepLocally": false,
        "name": "engineroom-lab-test/app:HASH",
        "triggers": {
          "content": "app-HASH",
          "drift": "",
        },
      }
    `);
    // The certificates of this host, where it has any.
    const [secret] = (secrets ?? []) as readonly { readonly id: string; readonly src: string }[];
    expect(secret === undefined || (secret.id === "certificates" && existsSync(secret.src))).toBe(true);
  });

  it("is removed with its last container, and by nobody else's hand before", () => {
    const { inputs, retainOnDelete, deleteBeforeReplace, ignoreChanges } = get("image-app");
    expect([inputs["keepLocally"], retainOnDelete, deleteBeforeReplace]).toEqual([false, false, false]);
    expect(ignoreChanges).toEqual(["triggers.drift"]);
  });

  it("that is gone is removed first: its successor has its name", async () => {
    const builds = new Map([[image?.key ?? "", "it is gone"]]);
    const drifted = await register({ ...world, drift: { ...noDrift, builds } });
    expect(get("image-app", drifted).deleteBeforeReplace).toBe(true);
  });
});

it("the sweep knows all containers by name, in an order of its own", () => {
  const { PLAN } = get("containers").inputs["environment"] as { readonly PLAN: string };
  const plan = readable(JSON.parse(PLAN) as { readonly containers: object });
  expect(plan).toMatchInlineSnapshot(`
    {
      "asRoot": false,
      "containers": {
        "api": "test-api",
        "broker": "test-broker",
        "cache": "test-cache",
        "db": "test-db",
        "worker": "test-worker",
      },
      "containersDir": "CONTAINERS",
      "owner": "lab/test",
      "servicesDir": "STACK/services",
      "socket": "RUN/supervisor.sock",
      "stackDir": "STACK",
    }
  `);
  expect(Object.keys(plan.containers)).toEqual(["api", "broker", "cache", "db", "worker"]);
});
