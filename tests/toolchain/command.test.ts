import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { activeToolchain } from "#tests/toolchain/support/active.ts";
import { canary, Project } from "#tests/toolchain/support/project.ts";

// Does not prove: how progress looks on a terminal.
describe.concurrent("the command plugin", () => {
  it("shows output as it comes, and none where none is wished", async () => {
    await using project = await Project.make("logging");
    const ended = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(ended.code, ended.text).toBe(0);
    const shown = ["default", "stdout", "stderr", "stdoutAndStderr", "none"].flatMap((logging) =>
      ["out", "err"].filter((stream) => ended.text.includes(`${logging}-${stream}`)).map((one) => `${logging}-${one}`),
    );
    expect(shown).toEqual([
      "default-out",
      "default-err",
      "stdout-out",
      "stderr-err",
      "stdoutAndStderr-out",
      "stdoutAndStderr-err",
    ]);
  });

  // By its source, the official plugin waits for ever here.
  it.skipIf(!activeToolchain().ours)("keeps a line that is longer than what it can show", async () => {
    await using project = await Project.make("logging");
    await project.pulumi(["up", "--yes", "--skip-preview"], { STEP: "long" });
    expect(await project.outputs()).toEqual({ length: 200_001 });
  });

  it("keeps secret inputs encrypted and its output plain", async () => {
    await using project = await Project.make("secret");
    await project.pulumi(["up", "--yes", "--skip-preview"]);
    const resource = (JSON.parse(project.state()) as State).checkpoint.latest.resources.find(
      ({ type }) => type === "command:local:Command",
    );
    expect(resource?.outputs?.["stdout"]).toBe(String(canary.length));
    const shown = await project.pulumi(["stack", "export", "--show-secrets"]);
    expect(shown.text).toContain("canary");
  });

  it("takes over a state that another build of it made", async () => {
    await using project = await Project.make("secret");
    await project.pulumi(["up", "--yes", "--skip-preview"]);
    const file = join(project.dir, "state.json");
    await project.pulumi(["stack", "export", "--file", file]);
    // Builds differ in what the provider notes of itself.
    const foreign = JSON.parse(readFileSync(file, "utf8"), (key, value: unknown) =>
      key === "__internal" || key === "__pulumi-go-provider-version" ? undefined : value,
    ) as unknown;
    writeFileSync(file, JSON.stringify(foreign));
    await project.pulumi(["stack", "import", "--file", file]);
    const preview = await project.pulumi(["preview", "--json", "--expect-no-changes"]);
    expect(preview.code, preview.text).toBe(0);
  });

  it("kills the shell when the time is up", async () => {
    await using project = await Project.make("slow");
    const started = performance.now();
    const ended = await project.pulumi(["up", "--yes", "--skip-preview"], { STEP: "deadline" });
    expect(ended.code, ended.text).toBe(1);
    expect(ended.text).toContain("signal: killed");
    expect(performance.now() - started).toBeLessThan(30_000);
    const pid = Number(readFileSync(join(project.dir, "pid"), "utf8"));
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it.skipIf(!activeToolchain().ours)("says that it has no remote commands", async () => {
    await using project = await Project.make("remote");
    const ended = await project.pulumi(["preview"]);
    expect(ended.code).toBe(1);
    expect(ended.text).toContain(
      "command:remote:Command: this build of the command provider runs commands on this host only",
    );
  });
});

interface State {
  readonly checkpoint: {
    readonly latest: {
      readonly resources: readonly { readonly type: string; readonly outputs?: Readonly<Record<string, unknown>> }[];
    };
  };
}
