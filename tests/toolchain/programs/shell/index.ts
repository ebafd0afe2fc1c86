import { mkdirSync, realpathSync } from "node:fs";
import { local } from "@pulumi/command";

mkdirSync("below/deep", { recursive: true });

const environment = new local.Command("environment", {
  create: 'printf "%s|%s\\n\\n" "$ADDED" "$CANARY"; echo warned >&2',
  environment: { ADDED: "a 'b' $c" },
});
const stdin = new local.Command("stdin", { create: "tr a-z A-Z", stdin: "line one\nline two" });
const noStdin = new local.Command("no-stdin", { create: "wc -c" });
const dir = new local.Command("dir", { create: "pwd -P", dir: "below" });
const defaultDir = new local.Command("default-dir", { create: "pwd -P" });
const interpreter = new local.Command("interpreter", {
  create: "process.stdout.write(String(6 * 7))",
  interpreter: [process.execPath, "-e"],
});
const assets = new local.Command("assets", {
  create: "echo one > one.txt; echo two > deep/two.txt; echo no > no.txt",
  dir: "below",
  assetPaths: ["**.txt", "!no*"],
  archivePaths: ["*.txt"],
});
const nothing = new local.Command("nothing", { delete: "true" });
const ran = local.runOutput({ command: "echo ran; cat", stdin: "in", assetPaths: ["package.json"] });

const here = realpathSync(".");
export const out = {
  environment: environment.stdout,
  warned: environment.stderr,
  stdin: stdin.stdout,
  noStdin: noStdin.stdout,
  dir: dir.stdout.apply((path) => path === `${here}/below`),
  defaultDir: defaultDir.stdout.apply((path) => path === here),
  interpreter: interpreter.stdout,
  assets: assets.assets.apply((found) => Object.keys(found ?? {}).sort()),
  archive: assets.archive.apply((found) => found !== undefined),
  nothing: nothing.stdout,
  ran: ran.stdout,
  ranAssets: ran.assets?.apply((found) => Object.keys(found ?? {})),
};
