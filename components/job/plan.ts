import type { z } from "zod";
import { APPLICATION_MEMORY, defineKind } from "../kind.ts";
import { jobSettings } from "./settings.ts";

export const job = defineKind<z.output<typeof jobSettings>>({
  settings: jobSettings,
  className: "Job",
  run: "job",
  outputs: () => ({}),
  plan: (settings) => ({
    argv: settings.command,
    ...(settings.cwd && { cwd: settings.cwd }),
    readyTimeoutMs: settings.timeout,
    container: { memoryBytes: APPLICATION_MEMORY },
  }),
});
