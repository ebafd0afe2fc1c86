import { describe, expect, it } from "vitest";
import { containerOf, planOf, problemsOf, serviceOf } from "#tests/support/stack.ts";

const raw = (settings: object) => ({
  secrets: { r: { env: "R" } },
  services: { box: { kind: "container", image: "app:1", ...settings } },
});
const box = (settings: object = {}) => containerOf(raw(settings), "box");

it("has this plan: all of it is the image's own", () =>
  expect(box()).toMatchInlineSnapshot(`
  {
    "binds": {},
    "capabilities": [
      "CAP_CHOWN",
      "CAP_DAC_OVERRIDE",
      "CAP_FOWNER",
      "CAP_SETGID",
      "CAP_SETUID",
    ],
    "check": {
      "kind": "alive",
      "seconds": 2,
    },
    "command": [],
    "entrypoint": [],
    "environment": [
      "ENGINEROOM_SERVICE=box",
      "ENGINEROOM_STACK=test",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "hosts": {},
    "image": "app:1",
    "memoryMiB": 1024,
    "name": "test-box",
    "ports": [],
    "readOnly": false,
    "restart": "unless-stopped",
    "service": "box",
    "stopGraceSeconds": 10,
    "stopSignal": "SIGTERM",
    "volumes": [],
  }
`));

it("is in a container, wherever the others are", () => expect(serviceOf(raw({}), "box").in).toBe("container"));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    [
      "port",
      { port: 7000 },
      {
        ports: [{ ip: "127.0.0.1", external: 7000, internal: 7000 }],
        check: { kind: "tcp", host: "127.0.0.1", port: 7000, isDirect: false },
      },
    ],
    ["containerPort", { port: 7000, containerPort: 80 }, { ports: [{ external: 7000, internal: 80 }] }],
    [
      "ports",
      { port: 7000, ports: { admin: { port: 7001, containerPort: 81 }, more: { port: 7002 } } },
      {
        ports: [
          { external: 7000, internal: 7000 },
          { external: 7001, internal: 81 },
          { external: 7002, internal: 7002 },
        ],
      },
    ],
    ["command", { command: ["app", "run"] }, { entrypoint: ["app"], command: ["run"] }],
    ["args", { args: ["run"] }, { entrypoint: [], command: ["run"] }],
    [
      "volumes",
      { volumes: { data: "/data", log: "/log" } },
      {
        volumes: [
          { name: "test-box-data", target: "/data", kept: true },
          { name: "test-box-log", target: "/log", kept: true },
        ],
      },
    ],
    ["volumeName", { volumes: { data: "/data" }, volumeName: "vol" }, { volumes: [{ name: "vol-data" }] }],
    [
      "files",
      { files: { "/etc/app/a.yml": "a: ${secret.r}", "/b": "${self.host}" }, port: 7000 },
      {
        binds: {
          "/etc/app/a.yml": "CONTAINERS/box/private/files/1-a.yml",
          "/b": "CONTAINERS/box/private/files/0-b",
        },
        files: {
          files: [
            { path: "0-b", mode: "0444", content: ["box"] },
            { path: "1-a.yml", content: ["a: ", { secret: "secret.r", as: "plain" }] },
          ],
        },
      },
    ],
    ["mounts", { mounts: { "/models": "./m", "/etc/x": "/x" } }, { binds: { "/models": "PROJECT/m", "/etc/x": "/x" } }],
    ["health", { port: 7000, health: "/ok" }, { check: { kind: "http", url: "http://127.0.0.1:7000/ok" } }],
    ["ready", { port: 7000, ready: { command: ["ok"] } }, { check: { kind: "command", argv: ["ok"] } }],
    ["runAs", { runAs: "5:6" }, { user: "5:6" }],
    [
      "readOnly",
      { readOnly: true },
      { readOnly: true, environment: expect.arrayContaining(["HOME=/tmp"]) as string[] },
    ],
    ["cwd", { cwd: "/srv" }, { workingDir: "/srv" }],
  ])("%s", (_what, settings, expected) => expect(box(settings)).toMatchObject(expected));
});

describe("what it offers", () => {
  const offered = (user: object) => {
    const { services } = planOf({
      services: {
        box: {
          kind: "container",
          image: "app:1",
          port: 7000,
          containerPort: 80,
          ports: { admin: { port: 7001, containerPort: 81 } },
        },
        user: { kind: "process", command: ["u"], env: { A: "${box.url} ${box.adminUrl} ${box.adminPort}" }, ...user },
      },
    });
    return services.find(({ name }) => name === "user")?.env["A"];
  };
  it("is at this host for a program of it", () =>
    expect(offered({})).toEqual(["http://127.0.0.1:7000 http://127.0.0.1:7001 7001"]));
  it("is at its own ports for another container", () =>
    expect(offered({ in: "container", image: "u:1" })).toEqual(["http://box:80 http://box:81 81"]));
});

describe("refuses", () => {
  it.each<[string, object, object]>([
    [
      "a secret for the image's own entry point",
      { env: { T: "${secret.r}" } },
      { code: "SECRET_NEEDS_COMMAND", where: "services.box.env.T" },
    ],
    [
      "both command and args",
      { command: ["a"], args: ["b"] },
      { code: "COMMAND_AND_ARGS", where: "services.box.args" },
    ],
    [
      "a path to ask at without a port",
      { health: "/ok" },
      { code: "HEALTH_WITHOUT_PORT", where: "services.box.health" },
    ],
    ["the host", { in: "host" }, { code: "STACK_PLACE", where: "services.box.in" }],
    [
      "an image that nobody maintains",
      { image: "minio/minio:latest" },
      { code: "IMAGE_DEAD", where: "services.box.image" },
    ],
    [
      "a port that it has twice",
      { port: 7000, ports: { admin: { port: 7000 } } },
      { code: "PORT_CLASH", where: "services.box.ports.admin.port" },
    ],
    ["a relative path", { volumes: { data: "data" } }, { code: "STACK_VALUE", where: "services.box.volumes.data" }],
    ["a path that climbs", { files: { "/a/../etc/passwd": "" } }, { code: "STACK_VALUE" }],
    ["no image", { image: undefined }, { code: "STACK_VALUE", where: "services.box.image" }],
  ])("%s", (_what, settings, problem) => expect(problemsOf(raw(settings))).toMatchObject([problem]));

  it("without showing what a file may hold", () =>
    expect(problemsOf(raw({ files: { "/etc/app.yml": 4711 } }))).toMatchObject([{ got: "a number (not shown)" }]));

  it("nothing where the secret has a command", () =>
    expect(box({ env: { T: "${secret.r}" }, command: ["app", "run"] })).toMatchObject({
      entrypoint: ["/bin/sh", "/run/engineroom/entry.sh"],
      command: ["app", "run"],
    }));

  it.each(["minio/minio-client:1", "ghcr.io/me/minio/minio:1"])("nothing like %s", (image) =>
    expect(problemsOf(raw({ image }))).toEqual([]),
  );
});
