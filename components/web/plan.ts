import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import {
  APPLICATION_MEMORY,
  applicationOutputs,
  defineExternal,
  defineKind,
  httpOutputs,
  type PlanContext,
} from "../kind.ts";
import { externalWeb, webSettings } from "./settings.ts";

const healthCheck = ({ at }: PlanContext, health: string): Check => ({
  kind: "http",
  url: `http://${at.host}:${at.port}${health}`,
});

export const web = defineKind<z.output<typeof webSettings>>({
  settings: webSettings,
  className: "Web",
  defaultPort: 8000,
  outputs: (_settings, context, at) => (context.in === "external" ? httpOutputs(at) : applicationOutputs(context, at)),
  plan: (settings, context) => ({
    argv: settings.command,
    ...(settings.cwd && { cwd: settings.cwd }),
    check: healthCheck(context, settings.health),
    readyTimeoutMs: 60_000,
    container: { memoryBytes: APPLICATION_MEMORY },
  }),
  external: defineExternal({
    settings: externalWeb,
    plan: ({ health }, context) => ({ check: healthCheck(context, health) }),
  }),
});
