import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import type { Address } from "#stack/plan.ts";
import { defineExternal, defineKind, MIB, type ExternalPlan, type KindPlan, type PlanContext } from "../kind.ts";
import { externalRedis, redisSettings } from "./settings.ts";

type Settings = z.output<typeof redisSettings>;

const passwordName = (settings: Pick<Settings, "password">, context: PlanContext): string =>
  settings.password ?? `${context.name}.password`;

function outputs(settings: Settings, context: PlanContext, { host, port }: Address): Readonly<Record<string, Text>> {
  const address = { host: [host], port: [String(port)] } as const;
  // Somebody else's server may ask for none.
  if (context.in === "external" && settings.password === undefined) {
    return { ...address, password: [""], url: [`redis://${host}:${port}/0`] };
  }
  const secret = passwordName(settings, context);
  return {
    ...address,
    password: [hole(secret)],
    url: ["redis://:", hole(secret, "url"), `@${host}:${port}/0`],
  };
}

/** Of the image's contract (docs/images.md). */
const IMAGE = { data: "/data", user: "999:999" };

/** A broker that evicts loses jobs; a cache that refuses writes breaks its users. */
const POLICY = { broker: "noeviction", cache: "allkeys-lfu" } as const;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const secret = passwordName(settings, context);
  const { home, at } = context;
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : IMAGE.data;
  const policy = POLICY[settings.role];
  const persistence = settings.role === "broker" ? "appendonly yes" : 'appendonly no\nsave ""';
  return {
    argv: [onHost ? context.tool("redis").path : "valkey-server", `${home}/redis.conf`],
    files: [
      {
        path: "redis.conf",
        mode: "0600",
        content: [
          `bind ${context.listen}
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
    check: { kind: "redis", ...at, passwordFile: `${context.hostHome}/password`, policy },
    readyTimeoutMs: 60_000,
    stopGraceMs: 30_000,
    generates: settings.password ? [] : [secret],
    container: {
      image: "redis",
      user: IMAGE.user,
      // A cache keeps nothing.
      ...(settings.role === "broker" && { volume: IMAGE.data }),
      // To write its log anew it forks, and what changes meanwhile is there twice.
      memoryBytes: 2 * settings.maxMemory + 64 * MIB,
    },
  };
}

function externalPlan({ role, password }: z.output<typeof externalRedis>, { at, hostHome }: PlanContext): ExternalPlan {
  const check = { kind: "redis", ...at, policy: POLICY[role] } as const;
  if (password === undefined) return { check };
  return {
    check: { ...check, passwordFile: `${hostHome}/password` },
    files: [{ path: "password", mode: "0600", content: [hole(password)] }],
  };
}

export const redis = defineKind<Settings>({
  settings: redisSettings,
  className: "Redis",
  defaultPort: 6379,
  outputs,
  plan,
  external: defineExternal({ settings: externalRedis, plan: externalPlan }),
});
