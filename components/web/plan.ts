import type { z } from "zod";
import { defineKind, LOOPBACK } from "../kind.ts";
import { webSettings } from "./settings.ts";

export const web = defineKind<z.output<typeof webSettings>>({
  settings: webSettings,
  className: "Web",
  defaultPort: 8000,
  outputs: (_settings, context) => ({
    host: [LOOPBACK],
    port: [String(context.port)],
    url: [`http://${LOOPBACK}:${context.port}`],
  }),
  plan: (settings, context) => ({
    argv: settings.command,
    ...(settings.cwd && { cwd: settings.cwd }),
    check: { kind: "http", url: `http://${LOOPBACK}:${context.port}${settings.health}` },
    readyTimeoutMs: 60_000,
  }),
});
