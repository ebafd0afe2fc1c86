import { dirname, join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { dynamicScripts } from "#setup/toolchain/sources.ts";

const projectDir = dirname(dirname(import.meta.dirname));

/** What a Node with the script preloaded prints about a program that loads the SDK. */
async function inNode(program: string): Promise<unknown> {
  const args = ["--require", join(dynamicScripts, "defer-unused.cjs"), "-e", program];
  const { stdout } = await execa(process.execPath, args, { cwd: projectDir });
  return JSON.parse(stdout);
}

const LOADED = `const loaded = () => ["typescript", "@npmcli/arborist"].filter((name) =>
  Object.keys(require.cache).some((file) => file.includes("/node_modules/" + name + "/") && require.cache[file].children.length + Object.keys(require.cache[file].exports).length > 0));`;

describe("defer-unused.cjs", () => {
  it("keeps npm's library and the compiler out of a start", async () => {
    expect(await inNode(`${LOADED} require("@pulumi/pulumi"); console.log(JSON.stringify(loaded()));`)).toEqual([]);
  });

  it("loads the compiler when a function is serialised, as ever", async () => {
    const program = `${LOADED} const pulumi = require("@pulumi/pulumi"); const seven = 7;
      pulumi.runtime.serializeFunction(() => seven).then(({ text }) =>
        console.log(JSON.stringify({ loaded: loaded(), says: /7/.test(text) })));`;
    expect(await inNode(program)).toEqual({ loaded: ["typescript"], says: true });
  });

  it("loads npm's library when the packages of a program are looked up", async () => {
    const program = `${LOADED} require("@pulumi/pulumi");
      const { computeCodePaths } = require("@pulumi/pulumi/runtime/closure/codePaths.js");
      computeCodePaths().then((paths) => console.log(JSON.stringify({ loaded: loaded(), some: paths.size > 0 })));`;
    expect(await inNode(program)).toEqual({ loaded: ["@npmcli/arborist"], some: true });
  });
});
