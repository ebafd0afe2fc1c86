import { describe, expect, it } from "vitest";
import type { LoadContext, RawStack } from "#stack/load.ts";
import { loadStack } from "#stack/load.ts";
import { problemLine } from "#stack/problems.ts";
import { context, inContainers, source } from "#tests/support/stack.ts";

// What does not go with where a service runs.

const linesOf = (raw: RawStack, where: LoadContext = context): readonly string[] => {
  const loaded = loadStack(raw, where);
  return "problems" in loaded ? loaded.problems.map(problemLine) : [];
};
const onHost = (more: object) => linesOf({ services: { web: { kind: "web", command: ["run"], ...more } } });
const inContainer = (more: object, where?: LoadContext) =>
  linesOf(inContainers({ services: { web: { kind: "web", command: ["run"], ...more } } }), where);

describe("on the host", () => {
  it.each<[string, unknown]>([
    ["containerName", "x1"],
    ["cpus", 1],
    ["image", "x"],
    ["runAs", "5"],
    ["readOnly", true],
    ["readOnly", false],
    ["capabilities", []],
  ])("no container has %s: %j", (key, value) =>
    expect(onHost({ [key]: value })).toEqual([
      `services.web.${key}: expected it only where \`in\` is \`container\`, got a service with in: host. Fix: remove it, or set services.web.in to container [STACK_PLACE]`,
    ]),
  );

  it("no volume has a name", () =>
    expect(linesOf({ services: { db: { kind: "postgres", volumeName: "pg" } } })).toEqual([
      "services.db.volumeName: expected it only where `in` is `container`, got a service with in: host. Fix: remove it, or set services.db.in to container [STACK_PLACE]",
    ]));

  it("an image beside a build is out of place, and that is all", () =>
    expect(onHost({ build: "./app", image: "x" })).toHaveLength(1));

  it("an application needs neither build nor image", () => expect(onHost({})).toEqual([]));
});

describe("in a container", () => {
  it.each(["logFile", "errorLog", "pidFile"])("no process has %s", (key) =>
    expect(inContainer({ image: "x", [key]: "/tmp/x" })).toEqual([
      `services.web.${key}: expected it only where \`in\` is \`host\`, got a service with in: container. Fix: remove it, or set services.web.in to host [STACK_PLACE]`,
    ]),
  );

  it.each([
    ["web", { command: ["run"] }],
    ["process", { command: ["run"] }],
    ["job", { command: ["run"] }],
  ])("a %s has to say what it is made of", (kind, more) =>
    expect(linesOf(inContainers({ services: { one: { kind, ...more } } }))).toEqual([
      "services.one: expected `build` or `image`, which a container is made of, got neither. Fix: set services.one.build to the application's directory, or services.one.image [IMAGE_UNNAMED]",
    ]),
  );

  it("a worker, too", () => {
    const raw = { broker: { kind: "redis" }, w: { kind: "dramatiq-worker", module: "m", env: { R: "${broker.url}" } } };
    expect(linesOf(inContainers({ services: raw }))).toEqual([
      expect.stringMatching(/^services\.w: .*\[IMAGE_UNNAMED\]$/),
    ]);
  });

  it("build and image are one too many", () =>
    expect(inContainer({ build: "./app", image: "x" })).toEqual([
      "services.web.build: expected one of `build` and `image`, got both. Fix: remove one [BUILD_AND_IMAGE]",
    ]));

  it("a directory must be there, and hold what can be built", () =>
    expect(inContainer({ build: "./empty" })).toEqual([
      "services.web.build: expected a directory with Dockerfile, requirements.txt, pyproject.toml or package.json, got `./empty`: it has none of these files. Fix: correct the path; it is relative to the checkout [BUILD_SOURCE]",
    ]));
});

describe("a directory with a Dockerfile alone", () => {
  const where = {
    ...context,
    sources: new Map([["./d", source("/home/me/lab/d", "dockerfile", { dockerfile: true })]]),
  };

  it("is an image in a container", () => expect(inContainer({ build: "./d" }, where)).toEqual([]));

  it("is nothing that can be run on the host", () =>
    expect(linesOf({ services: { web: { kind: "web", command: ["run"], build: "./d" } } }, where)).toEqual([
      "services.web.build: expected a directory with requirements.txt, pyproject.toml or package.json, got `./d`: it has none of these files. Fix: correct the path; it is relative to the checkout [BUILD_SOURCE]",
    ]));
});

describe("names that an engine has only one of", () => {
  const redis = (more: object) => ({ kind: "redis", ...more });
  const stack = (a: object, b: object) =>
    linesOf(inContainers({ services: { a: redis({ port: 1, ...a }), b: redis({ port: 2, ...b }) } }));

  it.each<[string, object, object, string]>([
    [
      "two containers",
      { containerName: "one" },
      { containerName: "one" },
      "services.b.containerName: expected a name of its own, got `one`, which `a` has too. Fix: set services.b.containerName to another name [NAME_CLASH]",
    ],
    [
      "another's default",
      {},
      { containerName: "test-a" },
      "services.b.containerName: expected a name of its own, got `test-a`, which `a` has too. Fix: set services.b.containerName to another name [NAME_CLASH]",
    ],
    [
      "two volumes, which would share their data",
      { volumeName: "data" },
      { volumeName: "data" },
      "services.b.volumeName: expected a name of its own, got `data`, which `a` has too. Fix: set services.b.volumeName to another name [NAME_CLASH]",
    ],
  ])("clash: %s", (_what, a, b, line) => expect(stack(a, b)).toEqual([line]));

  it("a container and a volume may have the same", () =>
    expect(stack({ containerName: "same" }, { volumeName: "same" })).toEqual([]));
  it("one on the host has none", () => expect(stack({ in: "host" }, { containerName: "test-a" })).toEqual([]));
});

it("no service may be called as the relay is", () =>
  expect(linesOf({ services: { relay: { kind: "redis" } } })).toEqual([
    expect.stringMatching(/^services\.relay: .* and not `self`, `secret` or `relay`, got `"relay"`.*\[STACK_NAME\]$/),
  ]));
