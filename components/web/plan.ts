import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { Problem } from "#stack/problems.ts";
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

const withoutRequirements = (directory: string | undefined, { name }: PlanContext): Problem => ({
  code: "BUILD_SOURCE",
  where: `services.${name}.build`,
  expected: "beside `dev`: a directory with requirements.txt, from which its environment is made",
  got: directory === undefined ? "none" : `\`${directory}\`, which has no such file`,
  fix: `name the application's directory, or remove services.${name}.dev`,
});

export const web = defineKind<z.output<typeof webSettings>>({
  settings: webSettings,
  className: "Web",
  defaultPort: 8000,
  outputs: (_settings, context, at) => (context.in === "external" ? httpOutputs(at) : applicationOutputs(context, at)),
  plan: (settings, context) => {
    const { directory, build } = context;
    // A directory that is not there is a problem of its own, and so is `dev` in a container.
    const isUnfit = settings.build === undefined || (directory !== undefined && build?.kind !== "environment");
    if (settings.dev && context.in === "host" && isUnfit) return withoutRequirements(settings.build, context);
    const cwd = settings.cwd ?? (settings.dev ? directory : undefined);
    return {
      argv: settings.command,
      ...(cwd && { cwd }),
      ...(settings.dev && directory !== undefined && { source: { path: directory } }),
      check: healthCheck(context, settings.health),
      readyTimeoutMs: 60_000,
      container: { memoryBytes: APPLICATION_MEMORY },
    };
  },
  external: defineExternal({
    settings: externalWeb,
    plan: ({ health }, context) => ({ check: healthCheck(context, health) }),
  }),
});
