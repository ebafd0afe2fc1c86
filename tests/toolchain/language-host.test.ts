import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { commandPlugin } from "#setup/toolchain/layout.ts";
import { activeToolchain } from "#tests/toolchain/support/active.ts";
import { Project } from "#tests/toolchain/support/project.ts";

const About = z.object({
  cliAbout: z.object({ version: z.string() }),
  runtime: z.object({ version: z.string() }),
  plugins: z.array(z.object({ name: z.string(), version: z.string(), kind: z.string() })),
});

// Does not prove: debuggers, package generation, runtimes other than Node.
describe.concurrent("the language host", () => {
  it.each([
    ["run-error", ["words for people"], ["at file:", "non-zero exit code", "words for programmers"]],
    ["error", ["words for programmers", "index.ts:6"], ["non-zero exit code"]],
    ["exit", ["Program exited with non-zero exit code: 3"], []],
  ])("reports a program that ends by %s", async (step, says, lacks) => {
    await using project = await Project.make("broken");
    const ended = await project.pulumi(["preview"], { STEP: step });
    expect(ended.code, ended.text).toBe(1);
    for (const words of says) expect(ended.text).toContain(words);
    for (const words of lacks) expect(ended.text).not.toContain(words);
  });

  it("hands over arguments, settings and what the program prints", async () => {
    await using project = await Project.make("nodeargs");
    await project.pulumi(["config", "set", "plain", "a 'b' $c"]);
    await project.pulumi(["config", "set", "--secret", "secret", "canary-of-config"]);
    const ended = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(ended.code, ended.text).toBe(0);
    expect(ended.text).toContain("on stdout");
    expect(ended.text).toContain("on stderr");
    expect(await project.outputs()).toEqual({
      out: {
        arguments: ["--stack-trace-limit=7", "--title", "two words"],
        title: "two words",
        stack: "dev",
        project: "conformance",
        organization: "organization",
        plain: "a 'b' $c",
      },
      secret: "[secret]",
    });
    expect(project.state()).not.toContain("canary-of-config");
  });

  it("names the program's packages and Node", async () => {
    await using project = await Project.make("secret");
    const about = await project.pulumi(["about", "--json"]);
    expect(about.code, about.text).toBe(0);
    const { cliAbout, runtime, plugins } = About.parse(JSON.parse(about.stdout));
    expect(cliAbout.version).toBe("3.259.0");
    expect(runtime.version).toBe(process.version);
    expect(plugins).toContainEqual({ name: "command", version: "1.2.1", kind: "resource" });
  });

  it("wants the docker plugin only of programs with containers", async () => {
    const home = mkdtempSync(join(tmpdir(), "engineroom-home-"));
    try {
      cpSync(dirname(commandPlugin(activeToolchain().home)), dirname(commandPlugin(home)), { recursive: true });
      await using without = await Project.make("secret", { PULUMI_HOME: home });
      const ended = await without.pulumi(["up", "--yes", "--skip-preview"]);
      expect(ended.code, ended.text).toBe(0);
      await using project = await Project.make("docker-kinds", { PULUMI_HOME: home });
      const failed = await project.pulumi(["preview"]);
      expect(failed.code).toBe(1);
      expect(failed.text).toContain(
        "no resource plugin 'pulumi-resource-docker' found in the workspace at version v5.2.0",
      );
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  it("says what to do when the SDK is not installed", async () => {
    await using project = await Project.make("secret");
    project.removePackages();
    const ended = await project.pulumi(["preview"]);
    expect(ended.code, ended.text).not.toBe(0);
    expect(ended.text).toMatch(/npm ci|npm install|pulumi install/);
  });
});
