import { describe, expect, it } from "vitest";
import { judgeContainer, judgeImage, judgeMemory, judgeNetwork } from "../../../policy/judges.js";

const sound = {
  name: "dev-api",
  image: `ghcr.io/me/api:1@sha256:${"a".repeat(64)}`,
  securityOpts: ["no-new-privileges:true"],
  capabilities: { drops: ["ALL"], adds: ["CAP_CHOWN"] },
  memory: 512,
  ports: [{ ip: "127.0.0.1", external: 8000 }],
};

const urn = (type: string, service: string): string =>
  `urn:pulumi:dev::engineroom::engineroom:service:${type}$docker:index/container:Container::${service}-container`;

describe("judgeContainer", () => {
  it("has nothing against a container as engineroom makes it", () => {
    expect(judgeContainer(sound)).toEqual([]);
  });

  it("names all that is wrong with one that says nothing", () => {
    expect(judgeContainer({ name: "x", image: "y", privileged: true })).toEqual([
      "x: expected no privileges, got `privileged`. Fix: remove it, and name the capabilities that it needs.",
      "x: expected the security option no-new-privileges, got none. Fix: add it.",
      "x: expected all capabilities dropped but those that are named, got the engine's own. Fix: drop ALL.",
      "x: expected a limit of memory, got none. Fix: set `memory`.",
    ]);
  });

  it("is not misled by options that only look alike", () => {
    expect(judgeContainer({ ...sound, securityOpts: ["no-new-privileges:false"] })).toHaveLength(1);
    expect(judgeContainer({ ...sound, capabilities: { drops: ["CAP_SYS_ADMIN"] } })).toHaveLength(1);
  });
});

describe("judgeNetwork", () => {
  const open = { ...sound, ports: [...sound.ports, { ip: "0.0.0.0", external: 80 }] };

  it("wants loopback", () => {
    expect(judgeNetwork(sound, urn("Web", "api"), [])).toEqual([]);
    expect(judgeNetwork({ ...sound, ports: [{ ip: "::1", external: 1 }] }, urn("Web", "api"), [])).toEqual([]);
    expect(judgeNetwork(open, urn("Web", "api"), ["api"])).toEqual([
      "dev-api: expected port 80 on loopback, got 0.0.0.0. Fix: an nginx in front of it, and that nginx in `allow` of this rule.",
    ]);
  });

  it("takes a port without an address for one that is open", () => {
    expect(judgeNetwork({ ...sound, ports: [{}] }, urn("Web", "api"), [])).toEqual([
      "dev-api: expected port (any) on loopback, got every address. Fix: an nginx in front of it, and that nginx in `allow` of this rule.",
    ]);
  });

  it("lets an nginx that is named be open, and no other", () => {
    expect(judgeNetwork(open, urn("Nginx", "edge"), ["edge"])).toEqual([]);
    expect(judgeNetwork(open, urn("Nginx", "edge"), ["other"])).toHaveLength(1);
  });
});

it.each([
  [sound.image, true],
  [`sha256:${"b".repeat(64)}`, true],
  ["engineroom/python:07da60f59f8e", true],
  ["engineroom-b3c88a1985a6-dev/api:3a4ea623c149", true],
  ["ghcr.io/me/api:1", false],
  ["engineroom/python:latest", false],
  ["engineroom-evil.example.com:5000/api", false],
])("judgeImage of %s", (image, isFixed) => {
  expect(judgeImage({ ...sound, image })).toEqual(
    isFixed
      ? []
      : [`dev-api: expected an image with its digest, got ${image}. Fix: NAME:TAG@sha256:…, as docker pull shows it.`],
  );
});

describe("judgeMemory", () => {
  const of = (...all: number[]) => all.map((memory, index) => ({ ...sound, name: `c${index}`, memory }));

  it("adds up", () => {
    expect(judgeMemory(of(1024, 1024), 2)).toEqual([]);
    expect(judgeMemory([], 0)).toEqual([]);
  });

  it("names the largest", () => {
    expect(judgeMemory(of(512, 4096, 1024, 2048), 4)).toEqual([
      "expected limits of at most 4 GiB together, got 7.5 (largest: c1 4.0, c3 2.0, c2 1.0). Fix: lower some `memory`, or raise maxGiB.",
    ]);
  });
});
