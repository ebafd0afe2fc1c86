import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { prometheusSettings } from "./settings.ts";

type Settings = z.output<typeof prometheusSettings>;

/** Of the image's contract (docs/images.md). */
const IMAGE = { data: "/prometheus", user: "65534:65534" };

interface ScrapeConfig {
  readonly job_name: string;
  readonly scheme?: string;
  readonly metrics_path?: string;
  readonly params?: Readonly<Record<string, readonly string[]>>;
  readonly static_configs: readonly { readonly targets: readonly string[] }[];
}

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : IMAGE.data;
  const targets = { prometheus: `http://127.0.0.1:${context.port}`, ...settings.targets };
  const jobs = Object.entries(targets).flatMap(([job, url]) => scrapeConfig(job, url, context));
  const problem = jobs.find((job) => "code" in job);
  if (problem) return problem;
  const config = {
    global: { scrape_interval: seconds(settings.interval), external_labels: { stack: context.places.stack } },
    scrape_configs: jobs,
  };
  return {
    argv: [
      onHost ? context.tool("prometheus").path : "prometheus",
      `--config.file=${context.home}/prometheus.yml`,
      `--storage.tsdb.path=${data}`,
      `--storage.tsdb.retention.time=${seconds(settings.retention)}`,
      ...(settings.retentionSize === undefined ? [] : [`--storage.tsdb.retention.size=${settings.retentionSize}B`]),
      `--web.listen-address=${context.listen}:${context.port}`,
    ],
    // JSON is YAML in which no value needs thought.
    files: [{ path: "prometheus.yml", mode: "0600", content: [`${JSON.stringify(config, null, 2)}\n`] }],
    directories: [data],
    tools: ["prometheus"],
    check: { kind: "prometheus", url: `http://${context.at.host}:${context.at.port}` },
    readyTimeoutMs: 60_000,
    // It writes what it has in memory.
    stopGraceMs: 60_000,
    container: { image: "prometheus", user: IMAGE.user, volume: IMAGE.data, memoryBytes: 512 * MIB },
  };
}

/** A target that is switched off, `${name.url?}/path`, leaves nothing to ask. */
function scrapeConfig(job: string, text: string, context: PlanContext): readonly (ScrapeConfig | Problem)[] {
  if (text === "" || text.startsWith("/")) return [];
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) {
    return [
      {
        code: "TARGET_URL",
        where: `services.${context.name}.targets.${job}`,
        expected: "an http:// or https:// address",
        got: `\`${text}\``,
        fix: "refer to a service: `${name.url}/metrics`",
      },
    ];
  }
  const query = [...new Set(url.searchParams.keys())].map((key) => [key, url.searchParams.getAll(key)] as const);
  return [
    {
      job_name: job,
      scheme: url.protocol.slice(0, -1),
      metrics_path: url.pathname === "/" ? "/metrics" : url.pathname,
      ...(query.length > 0 && { params: Object.fromEntries(query) }),
      static_configs: [{ targets: [url.host] }],
    },
  ];
}

const seconds = (milliseconds: number): string => `${Math.ceil(milliseconds / 1000)}s`;

export const prometheus = defineKind<Settings>({
  settings: prometheusSettings,
  className: "Prometheus",
  defaultPort: 9090,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan,
});
