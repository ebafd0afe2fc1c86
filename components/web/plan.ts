import type { z } from "zod";
import { APPLICATION_MEMORY, applicationOutputs, defineKind } from "../kind.ts";
import { webSettings } from "./settings.ts";

export const web = defineKind<z.output<typeof webSettings>>({
  settings: webSettings,
  className: "Web",
  defaultPort: 8000,
  outputs: (_settings, context, at) => applicationOutputs(context, at),
  plan: (settings, context) => ({
    argv: settings.command,
    ...(settings.cwd && { cwd: settings.cwd }),
    check: { kind: "http", url: `http://${context.at.host}:${context.at.port}${settings.health}` },
    readyTimeoutMs: 60_000,
    container: { memoryBytes: APPLICATION_MEMORY },
  }),
});
