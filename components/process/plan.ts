import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { Problem } from "#stack/problems.ts";
import type { Text } from "#stack/text.ts";
import { defineKind, LOOPBACK, type PlanContext } from "../kind.ts";
import { processSettings } from "./settings.ts";

type Settings = z.output<typeof processSettings>;

function checkOf(settings: Pick<Settings, "port" | "health">, context: PlanContext): Check {
  if (settings.port === undefined) return { kind: "alive", seconds: 1 };
  if (settings.health === undefined) return { kind: "tcp", host: LOOPBACK, port: context.port };
  return { kind: "http", url: `http://${LOOPBACK}:${context.port}${settings.health}` };
}

function outputs(settings: Settings, context: PlanContext): Readonly<Record<string, Text>> {
  if (settings.port === undefined) return {};
  return { host: [LOOPBACK], port: [String(context.port)], url: [`http://${LOOPBACK}:${context.port}`] };
}

const healthWithoutPort = ({ name }: PlanContext): Problem => ({
  code: "HEALTH_WITHOUT_PORT",
  where: `services.${name}.health`,
  expected: "a `port` beside it, at which to ask",
  got: "none",
  fix: `set services.${name}.port`,
});

export const process = defineKind<Settings>({
  settings: processSettings,
  className: "Process",
  outputs,
  plan: (settings, context) =>
    settings.health !== undefined && settings.port === undefined
      ? healthWithoutPort(context)
      : {
          argv: settings.command,
          ...(settings.cwd && { cwd: settings.cwd }),
          check: checkOf(settings, context),
          readyTimeoutMs: 60_000,
        },
});
