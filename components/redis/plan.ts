import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import { defineKind, LOOPBACK, serviceDir, type KindPlan, type PlanContext } from "../kind.ts";
import { redisSettings } from "./settings.ts";

type Settings = z.output<typeof redisSettings>;

const passwordName = (settings: Pick<Settings, "password">, context: PlanContext): string =>
  settings.password ?? `${context.name}.password`;

function outputs(settings: Settings, context: PlanContext): Readonly<Record<string, Text>> {
  const secret = passwordName(settings, context);
  return {
    host: [LOOPBACK],
    port: [String(context.port)],
    password: [hole(secret)],
    url: ["redis://:", hole(secret, "url"), `@${LOOPBACK}:${context.port}/0`],
  };
}

/** A broker that evicts loses jobs; a cache that refuses writes breaks its users. */
const POLICY = { broker: "noeviction", cache: "allkeys-lfu" } as const;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const secret = passwordName(settings, context);
  const home = serviceDir(context);
  const data = `${context.places.dataDir}/${context.name}`;
  const policy = POLICY[settings.role];
  const persistence = settings.role === "broker" ? "appendonly yes" : 'appendonly no\nsave ""';
  return {
    argv: [context.tool("redis").path, `${home}/redis.conf`],
    files: [
      {
        path: "redis.conf",
        mode: "0600",
        content: [
          `bind ${LOOPBACK}
port ${context.port}
dir "${data}"
aclfile "${home}/users.acl"
maxmemory ${settings.maxMemory}
maxmemory-policy ${policy}
${persistence}
`,
        ],
      },
      { path: "users.acl", mode: "0600", content: ["user default on #", hole(secret, "sha256"), " ~* &* +@all\n"] },
      { path: "password", mode: "0600", content: [hole(secret)] },
    ],
    directories: [data],
    tools: ["redis"],
    check: { kind: "redis", host: LOOPBACK, port: context.port, passwordFile: `${home}/password`, policy },
    readyTimeoutMs: 60_000,
    stopGraceMs: 30_000,
    generates: settings.password ? [] : [secret],
  };
}

export const redis = defineKind<Settings>({
  settings: redisSettings,
  className: "Redis",
  defaultPort: 6379,
  outputs,
  plan,
});
