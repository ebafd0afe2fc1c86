import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { containerSpec, type ContainerSpec } from "#runtime/container-spec.ts";
import { CONTAINER_HOME } from "#stack/containers.ts";
import { projectPlaces, stackPlaces } from "#stack/places.ts";
import { context, inContainers, planOf } from "#tests/support/stack.ts";

// From the plan over apply.py to the shell: a program gets its secrets to the byte, whatever they hold.

const VALUES = {
  quotes: `it's "so"`,
  shell: "$(touch OOPS) `touch OOPS` ${HOME} ; touch OOPS & |",
  lines: "first\nsecond\n\nlast\n",
  odd: "-n %s \\n \\ ~ * ? ! # 'é' \t\u2028",
  empty: "",
};
const ARGUMENTS = ["one two", "$HOME", "'", '"', "", "-n", "*"];

let dir: string;
let spec: ContainerSpec;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "er-entry-"));
  const host = { ...context.host, stateHome: dir };
  const plan = planOf(
    inContainers({
      secrets: Object.fromEntries(Object.keys(VALUES).map((name) => [name, { generate: 32 }])),
      services: {
        api: {
          kind: "process",
          image: "x",
          command: ["show", ...ARGUMENTS],
          env: Object.fromEntries(Object.keys(VALUES).map((name) => [name, `<\${secret.${name}}>`])),
        },
      },
    }),
    { ...context, host, places: stackPlaces(host, projectPlaces(host, dir, "lab"), "test") },
  );
  const [service] = plan.services;
  const found = service && containerSpec(service, plan);
  if (!found?.files) throw new Error("it has no files");
  spec = found;
  execFileSync("python3", ["-S", "-E", "-s", "-B", "runtime/apply.py", "files", "start"], {
    env: { PLAN: JSON.stringify(found.files), PATH: process.env["PATH"] },
    input: JSON.stringify(Object.fromEntries(Object.entries(VALUES).map(([name, value]) => [`secret.${name}`, value]))),
  });
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

/** Shows the arguments and the environment of whoever it is, as JSON. */
const SHOW = `console.log(JSON.stringify({ args: process.argv.slice(1), env: process.env }))`;

it("entry.sh hands every variable and every argument on as it is", () => {
  const directory = spec.files?.directory ?? "";
  // In a container the directory is mounted there.
  const script = readFileSync(join(directory, "entry.sh"), "utf8").replaceAll(CONTAINER_HOME, directory);
  expect(spec.command).toEqual(["show", ...ARGUMENTS]);
  const [shell = "", entry] = spec.entrypoint;
  expect(entry).toBe(`${CONTAINER_HOME}/entry.sh`);
  const output = execFileSync(shell, ["-c", script, "entry.sh", process.execPath, "-e", SHOW, "--", ...ARGUMENTS], {
    cwd: dir,
    env: { HOME: "/tmp", LANG: "C.UTF-8" },
    encoding: "utf8",
  });
  const { args, env } = JSON.parse(output) as { args: readonly string[]; env: Readonly<Record<string, string>> };
  expect(args).toEqual(ARGUMENTS);
  const { PWD: _pwd, OLDPWD: _oldpwd, SHLVL: _level, _: _last, ...rest } = env;
  expect(rest).toEqual({
    HOME: "/tmp",
    LANG: "C.UTF-8",
    ...Object.fromEntries(Object.entries(VALUES).map(([name, value]) => [name, `<${value}>`])),
  });
});

it("no secret stands in the container's own settings", () => {
  const { files: _files, ...settings } = spec;
  for (const value of Object.values(VALUES).filter((text) => text !== "")) {
    expect(JSON.stringify(settings)).not.toContain(JSON.stringify(value).slice(1, -1));
  }
});
