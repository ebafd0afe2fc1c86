// The flags of the llama-server that set-up brings. Does not prove what each of them does.
import { copyFileSync, existsSync } from "node:fs";
import { expect, it } from "vitest";
import { flagsOfImage, flagsOfProgram, judgeFlags } from "#checks/llama-flags.ts";
import { askEngine } from "#setup/docker-api.ts";
import { setUpImages } from "#setup/images.ts";
import { noteImageFlags } from "#setup/images/llama-flags.ts";
import { host } from "#tests/support/containers.ts";
import { describeWithDocker } from "#tests/support/docker.ts";
import { temporaryDir, tool } from "#tests/support/servers.ts";
import { planOf } from "#tests/support/stack.ts";

const every = {
  ...{ threads: 1, batchSize: 64, ubatchSize: 64, flashAttention: "auto", cacheTypeK: "q8_0", cacheTypeV: "q8_0" },
  ...{ embeddings: true, jinja: true, chatTemplate: "x", args: ["--n-gpu-layers", "0", "--no-warmup"] },
};

it("the build has every flag that a key of the stack file becomes", async () => {
  await using dir = await temporaryDir();
  const { path, env = {} } = tool("llama-server");
  const cacheFile = `${dir.path}/flags.json`;
  const found = await flagsOfProgram(path, env, cacheFile);
  if (!("flags" in found)) throw new Error(found.broken);
  const services = [true, false].map((jinja) => ({ kind: "llama-server", model: "vision", ...every, jinja }));
  const { services: plans } = planOf({
    models: { vision: { file: "a.gguf", mmproj: "b.gguf" } },
    services: Object.fromEntries(
      services.map((service, index) => [`chat-${index}`, { ...service, port: 9000 + index }]),
    ),
  });
  expect(plans.flatMap((plan) => judgeFlags(plan, found.flags, ""))).toEqual([]);
  expect(existsSync(cacheFile)).toBe(true);
});

it("a build without its libraries says which one is missing", async () => {
  await using dir = await temporaryDir();
  const { path } = tool("llama-server");
  const alone = `${dir.path}/llama-server`;
  copyFileSync(path, alone);
  expect(await flagsOfProgram(alone, {}, `${dir.path}/flags.json`)).toEqual({
    broken: expect.stringMatching(
      /error while loading shared libraries: lib\S+: cannot open shared object file/,
    ) as string,
  });
});

describeWithDocker("an image", () => {
  it("is asked for its flags once, in a container that is gone afterwards", async () => {
    await using dir = await temporaryDir();
    const { references } = await setUpImages(
      { install: true, projectDir: process.cwd(), env: process.env, report: (line) => console.error(line) },
      ["llama-server"],
    );
    const [reference, cacheFile] = [references["llama-server"] ?? "", `${dir.path}/flags.json`];
    const containers = () =>
      askEngine<readonly object[]>(host, {
        path: "/containers/json",
        query: { all: "1", filters: JSON.stringify({ ancestor: [reference] }) },
      });
    const before = await containers();
    await noteImageFlags(host, reference, cacheFile);
    expect(await flagsOfImage(reference, cacheFile)).toEqual(expect.arrayContaining(["--ctx-size", "-ngl", "--jinja"]));
    expect(await containers()).toHaveLength(before.length);
    // No engine answers there: what is known is not asked again.
    await noteImageFlags("unix:///nowhere.sock", reference, cacheFile);
  });
});
