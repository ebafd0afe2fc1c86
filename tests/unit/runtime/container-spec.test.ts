import { describe, expect, it } from "vitest";
import { containerSpec, secretsOfFiles, specHash, workHash, type ContainerSpec } from "#runtime/container-spec.ts";
import { networkPlan } from "#stack/containers.ts";
import { context, inContainers, planOf, readable } from "#tests/support/stack.ts";

const spec = (settings: object = {}, others: object = {}): ContainerSpec => {
  const plan = planOf(
    inContainers({
      secrets: { token: { env: "TOKEN" } },
      services: { ...others, api: { kind: "web", image: "x:1", command: ["serve", "a b", "'c'"], ...settings } },
    }),
  );
  const service = plan.services.find(({ name }) => name === "api");
  const found = service && containerSpec(service, plan);
  if (!found) throw new Error("no container");
  return found;
};

it("a service of the host has none", () => {
  const plan = planOf({ services: { db: { kind: "postgres" } } });
  expect(plan.services.map((service) => containerSpec(service, plan))).toEqual([undefined]);
});

it("says whose it is, for whoever looks at the engine", () =>
  expect(spec().labels).toEqual({
    "engineroom.stack": "test",
    "engineroom.service": "api",
    "engineroom.owner": "lab/test",
    "engineroom.project": "/home/me/lab",
  }));

it("is another one with other arguments for its image's own entry point, also with none", () => {
  const labelOf = (more: object) => spec({ kind: "container", command: undefined, ...more }).labels["engineroom.args"];
  expect([labelOf({}), labelOf({ args: ["a", "b"] })]).toEqual(["[]", '["a","b"]']);
});

describe("without a secret", () => {
  it("the program is the entry point, so that the image's own is not in between", () =>
    expect([spec().entrypoint, spec().command]).toEqual([["serve"], ["a b", "'c'"]]));

  it("it has no files", () => {
    expect(spec()).not.toHaveProperty("files");
    expect(spec().binds).toEqual({});
  });

  it("its variables stand open, sorted, over ours", () =>
    expect(spec({ env: { Z: "1", A: "x=y", LANG: "de_DE.UTF-8" } }).environment).toEqual([
      "A=x=y",
      "ENGINEROOM_SERVICE=api",
      "ENGINEROOM_STACK=test",
      "LANG=de_DE.UTF-8",
      "PYTHONUNBUFFERED=1",
      "Z=1",
    ]));

  it("its home is the image's, unless nothing there can be written", () =>
    expect(spec({ readOnly: true }).environment).toContain("HOME=/tmp"));
});

describe("with a secret in a variable", () => {
  const entered = spec({ env: { OPEN: "1", TOKEN: "Bearer ${secret.token}", HOME: "/${secret.token}" } });

  it("a script reads the variables and becomes the program", () => {
    expect(entered.entrypoint).toEqual(["/bin/sh", "/run/engineroom/entry.sh"]);
    expect(entered.command).toEqual(["serve", "a b", "'c'"]);
    expect(entered.files?.files).toEqual([
      { path: "entry.sh", mode: "0444", content: ['#!/bin/sh\n. /run/engineroom/env.sh\nexec "$@"\n'] },
    ]);
  });

  it("it has its files from this host, and the variables are among them and not in its settings", () => {
    expect(readable(entered.binds)).toEqual({ "/run/engineroom": "CONTAINERS/api/private/files" });
    expect(entered.files?.env).toEqual({
      TOKEN: ["Bearer ", { secret: "secret.token", as: "plain" }],
      HOME: ["/", { secret: "secret.token", as: "plain" }],
    });
    expect(entered.environment).toEqual([
      "ENGINEROOM_SERVICE=api",
      "ENGINEROOM_STACK=test",
      "LANG=C.UTF-8",
      "OPEN=1",
      "PYTHONUNBUFFERED=1",
    ]);
  });

  it("which secrets fill the holes is said once each", () =>
    expect(entered.files && secretsOfFiles(entered.files)).toEqual(["secret.token"]));
});

it("it knows this host by name only where it uses it", () => {
  const db = (place: string) => ({ db: { kind: "postgres", in: place } });
  const { gateway } = networkPlan(context.places, {});
  expect(spec({ env: { D: "${db.url}" } }, db("host")).hosts).toEqual({ "host.docker.internal": gateway });
  expect(spec({ env: { D: "${db.url}" } }, db("container")).hosts).toEqual({});
  expect(spec({}, db("host")).hosts).toEqual({});
});

it("it is given whole mebibytes and seconds, rounded up", () =>
  expect(spec({ memory: "100MB", stopGrace: "1500ms" })).toMatchObject({ memoryMiB: 96, stopGraceSeconds: 2 }));

it("its hash is that of all it says", () => {
  expect(specHash(spec())).toBe(specHash(spec()));
  expect(specHash(spec())).toMatch(/^[0-9a-f]{64}$/);
  const others = [
    { memory: "64MiB" },
    { env: { A: "1" } },
    { image: "x:2" },
    { restart: "no" },
    { command: ["other"] },
  ];
  expect(new Set([{}, ...others].map((settings) => specHash(spec(settings)))).size).toBe(others.length + 1);
});

it("its work's hash is that of all but its limits: those make no other run of a job", () => {
  expect(workHash(spec({ memory: "64MiB", cpus: 2 }))).toBe(workHash(spec()));
  expect(workHash(spec({ command: ["other"] }))).not.toBe(workHash(spec()));
});
