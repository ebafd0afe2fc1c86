import type { z } from "zod";
import { defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { lokiSettings } from "./settings.ts";

type Settings = z.output<typeof lokiSettings>;

/** Of the official image. */
const IMAGE = { data: "/loki", user: "10001:10001", program: "/usr/bin/loki" };

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const { home, at } = context;
  return {
    argv: [IMAGE.program, `-config.file=${home}/loki.yaml`],
    files: [{ path: "loki.yaml", mode: "0600", content: [`${JSON.stringify(config(settings, context), null, 2)}\n`] }],
    check: { kind: "http", url: `http://${at.host}:${at.port}/ready` },
    // It says so a quarter of a minute after its start.
    readyTimeoutMs: 120_000,
    stopGraceMs: 60_000,
    container: { image: "loki", user: IMAGE.user, volume: IMAGE.data, memoryBytes: 512 * MIB },
  };
}

/** One process that keeps everything in files. JSON is YAML in which no value needs thought. */
const config = ({ retention }: Omit<Settings, "env">, { listen, port }: PlanContext) => ({
  auth_enabled: false,
  server: { http_listen_address: listen, http_listen_port: port, grpc_listen_address: "127.0.0.1", log_level: "warn" },
  common: {
    instance_addr: "127.0.0.1",
    path_prefix: IMAGE.data,
    replication_factor: 1,
    ring: { kvstore: { store: "inmemory" } },
    storage: { filesystem: { chunks_directory: `${IMAGE.data}/chunks`, rules_directory: `${IMAGE.data}/rules` } },
  },
  schema_config: {
    configs: [
      {
        from: "2024-01-01",
        store: "tsdb",
        object_store: "filesystem",
        schema: "v13",
        index: { prefix: "index_", period: "24h" },
      },
    ],
  },
  limits_config: { retention_period: `${Math.ceil(retention / 3_600_000)}h` },
  compactor: {
    working_directory: `${IMAGE.data}/compactor`,
    retention_enabled: true,
    delete_request_store: "filesystem",
  },
  analytics: { reporting_enabled: false },
});

export const loki = defineKind<Settings>({
  settings: lokiSettings,
  className: "Loki",
  defaultPort: 3100,
  imageOnly: true,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan,
});
