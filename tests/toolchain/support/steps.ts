import { z } from "zod";
import type { Ended } from "#tests/toolchain/support/project.ts";

const named = z.object({ op: z.string(), urn: z.string() });
const Preview = z.object({ steps: z.array(named) });
const Event = z.object({ resourcePreEvent: z.object({ metadata: named }).optional() });

/** What a run did or would do: `create name`, sorted; the stack itself, providers and unchanged ones left out. */
export function operations(command: string, ended: Ended): readonly string[] {
  const steps = command === "preview" ? previewed(ended.stdout) : performed(ended.stdout);
  return steps
    .filter(
      ({ op, urn }) => op !== "same" && !urn.includes("pulumi:pulumi:Stack::") && !urn.includes("pulumi:providers:"),
    )
    .map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`)
    .sort();
}

function previewed(json: string): readonly z.infer<typeof named>[] {
  return Preview.parse(JSON.parse(json)).steps;
}

/** One JSON object a line. */
function performed(lines: string): readonly z.infer<typeof named>[] {
  return lines
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .flatMap((line) => Event.parse(JSON.parse(line)).resourcePreEvent?.metadata ?? []);
}
