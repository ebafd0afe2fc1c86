import type { z } from "zod";
import type { Text } from "#stack/text.ts";
import { APPLICATION_MEMORY, defineKind } from "../kind.ts";
import { workerSettings } from "./settings.ts";

export const worker = defineKind<z.output<typeof workerSettings>>({
  settings: workerSettings,
  className: "Worker",
  outputs: ({ queue }): Readonly<Record<string, Text>> => (queue === undefined ? {} : { queue: [queue] }),
  plan: (settings) => ({
    argv: settings.command,
    ...(settings.cwd && { cwd: settings.cwd }),
    check: { kind: "command", argv: settings.ready.command },
    readyTimeoutMs: 60_000,
    // A running task may take this long; only then is it cut off.
    stopGraceMs: 60_000,
    drains: true,
    container: { memoryBytes: APPLICATION_MEMORY },
  }),
});
