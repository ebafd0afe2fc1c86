import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Found } from "#setup/context.ts";
import type { Part } from "#setup/part.ts";

/** The Node that runs this program: the launcher chose it. */
export const node: Part = {
  name: "node",
  wanted: "Node >= 22.18",
  fix: "start ./engineroom, which brings its own",
  pins: [process.execPath],
  needs: [],
  find: () => Promise.resolve({ path: process.execPath, version: process.versions.node, source: sourceOfNode() }),
};

/** The launcher writes beside its own copy where that came from. */
function sourceOfNode(): Found["source"] {
  const mark = join(dirname(dirname(process.execPath)), "engineroom-source");
  if (!existsSync(mark)) return "host";
  return readFileSync(mark, "utf8").trim() === "official" ? "official" : "packages";
}
