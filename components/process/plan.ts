import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import { APPLICATION_MEMORY, applicationOutputs, defineKind, healthWithoutPort, type PlanContext } from "../kind.ts";
import { processSettings } from "./settings.ts";

type Settings = z.output<typeof processSettings>;

function checkOf(settings: Pick<Settings, "port" | "health">, context: PlanContext): Check {
  if (settings.port === undefined) return { kind: "alive", seconds: 1 };
  if (settings.health === undefined)
    return { kind: "tcp", ...context.at, ...(context.in === "container" && { isDirect: false }) };
  return { kind: "http", url: `http://${context.at.host}:${context.at.port}${settings.health}` };
}

export const process = defineKind<Settings>({
  settings: processSettings,
  className: "Process",
  outputs: (settings, context, at) => (settings.port === undefined ? {} : applicationOutputs(context, at)),
  plan: (settings, context) =>
    settings.health !== undefined && settings.port === undefined
      ? healthWithoutPort(context)
      : {
          argv: settings.command,
          ...(settings.cwd && { cwd: settings.cwd }),
          check: checkOf(settings, context),
          readyTimeoutMs: 60_000,
          container: { memoryBytes: APPLICATION_MEMORY },
        },
});
