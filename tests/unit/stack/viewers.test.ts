import { describe, expect, it } from "vitest";
import { networkPlan } from "#stack/containers.ts";
import { printable } from "#stack/text.ts";
import { context, planOf, serviceOf } from "#tests/support/stack.ts";

// The same reference is another address for a process of this host and for a container.

const places = ["host", "container"] as const;
type Place = (typeof places)[number];

/** A database and an API, and a viewer that refers to every output of theirs. */
const stack = (viewer: Place, viewed: Place) => ({
  settings: { portOffset: 100 },
  services: {
    db: { kind: "postgres", in: viewed },
    api: { kind: "web", in: viewed, port: 7000, command: ["serve"], ...(viewed === "container" && { image: "x" }) },
    viewer: {
      kind: "web",
      in: viewer,
      ...(viewer === "container" && { image: "x" }),
      command: ["see", "${self.listen}", "${self.port}", "${self.host}", "${self.url}"],
      env: { DB: "${db.url}", AT: "${db.host} ${db.port}", API: "${api.url} ${api.listen}" },
    },
  },
});

const DB_URL = "postgresql://app:(secret db.password)@";

describe.each<[Place, Place, Readonly<Record<string, string>>]>([
  ["host", "host", { DB: `${DB_URL}127.0.0.1:5532/app`, AT: "127.0.0.1 5532", API: "http://127.0.0.1:7000 127.0.0.1" }],
  [
    "host",
    "container",
    { DB: `${DB_URL}127.0.0.1:5532/app`, AT: "127.0.0.1 5532", API: "http://127.0.0.1:7000 0.0.0.0" },
  ],
  [
    "container",
    "host",
    {
      DB: `${DB_URL}host.docker.internal:5532/app`,
      AT: "host.docker.internal 5532",
      API: "http://host.docker.internal:7000 127.0.0.1",
    },
  ],
  ["container", "container", { DB: `${DB_URL}db:5432/app`, AT: "db 5432", API: "http://api:7000 0.0.0.0" }],
])("in the %s, of services in the %s", (viewer, viewed, expected) => {
  const service = serviceOf(stack(viewer, viewed), "viewer");

  it("a reference is the address at which it is reached", () =>
    expect(Object.fromEntries(Object.entries(service.env).map(([name, text]) => [name, printable(text)]))).toEqual(
      expected,
    ));

  it("itself is where it listens", () =>
    expect(service.argv).toEqual(
      viewer === "host"
        ? ["see", "127.0.0.1", "8100", "127.0.0.1", "http://127.0.0.1:8100"]
        : ["see", "0.0.0.0", "8000", "viewer", "http://viewer:8000"],
    ));

  it("outputs are as this host sees them, whoever looks", () =>
    expect(Object.values(service.outputs).map(printable)).toEqual([
      "127.0.0.1",
      "8100",
      "http://127.0.0.1:8100",
      viewer === "host" ? "127.0.0.1" : "0.0.0.0",
    ]));

  it("is checked from this host", () =>
    expect(service.check).toEqual({ kind: "http", url: "http://127.0.0.1:8100/health" }));
});

describe("the relay", () => {
  const services = (viewer: Place, viewed: Place) => planOf(stack(viewer, viewed)).services;

  it.each(places.flatMap((viewer) => places.map((viewed) => [viewer, viewed] as const)))(
    "of a viewer in the %s and services in the %s is there only where a container uses the host",
    (viewer, viewed) => {
      const isUsed = viewer === "container" && viewed === "host";
      expect(services(viewer, viewed).map(({ name }) => name)).toEqual([
        ...(isUsed ? ["relay"] : []),
        ...["db", "api", "viewer"],
      ]);
      const { needs, container } = serviceOf(stack(viewer, viewed), "viewer");
      expect(needs).toEqual([...(isUsed ? ["relay"] : []), "api", "db"]);
      expect(container?.usesHost).toBe(viewer === "host" ? undefined : isUsed);
    },
  );

  it("has a port for each service that containers use, and for no other", () => {
    const { gateway } = networkPlan(context.places, {});
    const mixed = stack("container", "host");
    const raw = { ...mixed, services: { ...mixed.services, unused: { kind: "redis", in: "host" } } };
    expect(serviceOf(raw, "relay")).toMatchObject({
      kind: "relay",
      in: "host",
      ports: [
        { host: gateway, port: 5532 },
        { host: gateway, port: 7000 },
      ],
      needs: [],
      outputs: {},
      tools: ["nginx"],
    });
  });

  it("serves routes, too, which wait for nobody but it", () => {
    const raw = {
      services: {
        api: { kind: "web", command: ["serve"] },
        edge: { kind: "nginx", in: "container", routes: { "/": "${api.url}" } },
      },
    };
    expect(serviceOf(raw, "edge").needs).toEqual(["relay"]);
    expect(serviceOf(raw, "relay").ports.map(({ port }) => port)).toEqual([8000]);
  });

  it("is not needed by a container that only waits for a process", () => {
    const raw = {
      services: {
        once: { kind: "job", command: ["true"] },
        api: { kind: "web", in: "container", image: "x", command: ["serve"], needs: ["once"] },
      },
    };
    expect(planOf(raw).services.map(({ name }) => name)).toEqual(["once", "api"]);
    expect(serviceOf(raw, "api").container?.usesHost).toBe(false);
  });

  it("is not needed for a service that is switched off", () => {
    const raw = {
      services: {
        api: { kind: "web", command: ["serve"], enabled: false },
        edge: { kind: "nginx", in: "container", routes: { "/": "${api.url?}" } },
      },
    };
    expect(planOf(raw).services.map(({ name }) => name)).toEqual(["edge"]);
  });
});

describe("the network", () => {
  it("is there where one service is a container", () => {
    expect(planOf(stack("host", "container")).network).toEqual(networkPlan(context.places, {}));
    expect(planOf(stack("host", "host"))).not.toHaveProperty("network");
  });

  it("is as the settings say", () =>
    expect(
      planOf({
        settings: { networkName: "mine", subnet: "10.64.0.0/16" },
        services: stack("host", "container").services,
      }).network,
    ).toEqual({ name: "mine", subnet: "10.64.0.0/16", gateway: "10.64.0.1" }));
});

describe("published ports", () => {
  const ports = (settings: object, service: object) =>
    serviceOf({ settings: { in: "container", ...settings }, services: { one: service } }, "one");

  it.each<[string, object, object, string, number]>([
    ["a default, with the offset outside only", { portOffset: 100 }, { kind: "redis" }, "127.0.0.1:6479", 6379],
    ["one of its own, without the offset", { portOffset: 100 }, { kind: "redis", port: 7000 }, "127.0.0.1:7000", 7000],
    ["an address of its own", {}, { kind: "nginx", address: "0.0.0.0", port: 80 }, "0.0.0.0:80", 80],
  ])("%s", (_what, settings, service, published, inside) => {
    const { ports: found, container } = ports(settings, service);
    expect(found.map(({ host, port }) => `${host}:${port}`)).toEqual([published]);
    expect(container?.internalPorts).toEqual([inside]);
  });

  it("a program that listens nowhere has none", () => {
    const { ports: found, container } = ports({}, { kind: "process", image: "x", command: ["x"] });
    expect([found, container?.internalPorts]).toEqual([[], []]);
  });

  it("clash on this host, not inside", () => {
    const raw = {
      settings: { in: "container" },
      services: {
        a: { kind: "redis" },
        b: { kind: "redis", port: 6380 },
        c: { kind: "redis", in: "host", port: 6381 },
      },
    };
    expect(planOf(raw).services.flatMap(({ ports: found }) => found.map(({ port }) => port))).toEqual([
      6379, 6380, 6381,
    ]);
  });
});
