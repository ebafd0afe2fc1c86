import { containerSpec } from "#runtime/container-spec.ts";
import { loadStack, type LoadContext, type RawStack, type SourceContent } from "#stack/load.ts";
import { hostPlaces, projectPlaces, stackPlaces } from "#stack/places.ts";
import type { ServicePlan, StackPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import type { Tools } from "#setup/tools.ts";

const host = hostPlaces({ HOME: "/home/me" }, 1000);

export const tools: Tools = {
  node: { path: "/opt/node/bin/node", version: "24.0.0", source: "host" },
  python: { path: "/opt/python/bin/python3", version: "3.11.2", source: "host" },
  supervisord: { path: "/opt/venv/bin/supervisord", version: "4.3.0", source: "packages" },
  postgres: {
    path: "/opt/pg/bin/postgres",
    version: "18.6",
    source: "packages",
    env: { LD_LIBRARY_PATH: "/opt/pg/lib" },
  },
  redis: { path: "/opt/valkey/valkey-server", version: "8.1.8", source: "packages" },
  nginx: { path: "/opt/nginx/nginx", version: "1.31.3", source: "packages" },
  "llama-server": { path: "/opt/llama/llama-server", version: "1", source: "packages" },
  mqtt: {
    path: "/opt/mosquitto/mosquitto",
    version: "2.0.11",
    source: "packages",
    env: { LD_LIBRARY_PATH: "/opt/mosquitto/lib" },
  },
  "object-store": { path: "/opt/versitygw/versitygw", version: "1.8.0", source: "packages" },
  prometheus: { path: "/opt/prometheus/prometheus", version: "3.14.0", source: "official" },
  ollama: { path: "/opt/ollama/bin/ollama", version: "0.17.4", source: "packages" },
};

/** An application at `path`. */
export const source = (
  path: string,
  kind: SourceContent["kind"],
  more: Partial<SourceContent> = {},
): SourceContent => ({ path, kind, dockerfile: false, hash: "a".repeat(64), ...more });

/** A host on which nothing is real: planning is pure. `./app` is a Python application, `./pages` one of Node. */
export const context: LoadContext = {
  host,
  places: stackPlaces(host, projectPlaces(host, "/home/me/lab", "lab"), "test"),
  tools,
  images: {
    source: "registry",
    references: {
      postgres: "postgres:18",
      redis: "valkey:8",
      nginx: "nginx:1",
      "llama-server": "llama:1",
      ollama: "ollama:0",
      mqtt: "mosquitto:2",
      "object-store": "versitygw:1",
      prometheus: "prometheus:3",
      python: "python:3",
      node: "node:24",
    },
  },
  account: "me",
  accountIds: "1000:1000",
  bytesOf: () => 0,
  sources: new Map<string, SourceContent | string>([
    ["./app", source("/home/me/lab/app", "python", { requirements: "c".repeat(64) })],
    ["./pages", source("/home/me/lab/pages", "node", { hash: "b".repeat(64) })],
    ["./empty", "it has none of these files"],
  ]),
  envFiles: new Map([["./app.env", { variables: { EXTRA: "kanarie" } }]]),
};

/** The plan of a stack that is right. */
export function planOf(raw: RawStack, where: LoadContext = context): StackPlan {
  const loaded = loadStack(raw, where);
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems, null, 2));
  return loaded.plan;
}

export function serviceOf(raw: RawStack, name: string): ServicePlan {
  const service = planOf(raw).services.find((candidate) => candidate.name === name);
  if (!service) throw new Error(`no service ${name}`);
  return service;
}

/** A stack whose services are containers unless they say otherwise. */
export const inContainers = (raw: RawStack): RawStack => ({
  ...raw,
  settings: { in: "container", ...(raw.settings as object | undefined) },
});

/**
 * The container of a service, as the engine is to make it, and what is asked of it; without labels, which all have, and
 * with a word for the hash that an image's content has.
 */
export function containerOf(raw: RawStack, name: string, where: LoadContext = context) {
  const plan = planOf(inContainers(raw), where);
  const service = plan.services.find((candidate) => candidate.name === name);
  const spec = service && containerSpec(service, plan);
  if (!spec) throw new Error(`no container ${name}`);
  const { labels: _labels, image, ...rest } = spec;
  return readable({
    ...rest,
    image: image.replace(/:[0-9a-f]{12}$/, ":HASH"),
    ...(service.check && { check: service.check }),
  });
}

/** What is wrong with a stack; empty where nothing is. */
export function problemsOf(raw: RawStack): readonly Problem[] {
  const loaded = loadStack(raw, context);
  return "problems" in loaded ? loaded.problems : [];
}

/** The plan with short names for the places of this host, so that tests can be read. */
export function readable<Plan>(plan: Plan): Plan {
  const { stackDir, containersDir, runDir, projectDir } = context.places;
  const text = JSON.stringify(plan)
    .replaceAll(stackDir, "STACK")
    .replaceAll(containersDir, "CONTAINERS")
    .replaceAll(runDir, "RUN")
    .replaceAll(projectDir, "PROJECT")
    .replaceAll(host.cacheDir, "CACHE");
  return JSON.parse(text) as Plan;
}
