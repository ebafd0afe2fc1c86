import { describe, expect, it } from "vitest";
import { printable } from "#stack/text.ts";
import { containerOf, planOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const web = { kind: "web", command: ["serve"] };
const raw = (settings: object) => ({
  services: { api: web, off: { ...web, enabled: false }, metrics: { kind: "prometheus", ...settings } },
});
const plan = (settings: object = {}) => readable(serviceOf(raw(settings), "metrics"));
const jobs = (targets: Readonly<Record<string, string>>) => {
  const text = printable(plan({ targets }).files[0]?.content ?? []);
  return (JSON.parse(text) as { readonly scrape_configs: readonly unknown[] }).scrape_configs.slice(1);
};

it("has this plan", () =>
  expect(plan({ targets: { api: "${api.url}" } })).toMatchInlineSnapshot(`
    {
      "argv": [
        "/opt/prometheus/prometheus",
        "--config.file=STACK/services/metrics/prometheus.yml",
        "--storage.tsdb.path=STACK/data/metrics",
        "--storage.tsdb.retention.time=1296000s",
        "--web.listen-address=127.0.0.1:9090",
      ],
      "check": {
        "kind": "prometheus",
        "url": "http://127.0.0.1:9090",
      },
      "cwd": "STACK/services/metrics",
      "dataKept": true,
      "directories": [
        "STACK/data/metrics",
      ],
      "env": {},
      "files": [
        {
          "content": [
            "{
      "global": {
        "scrape_interval": "15s",
        "external_labels": {
          "stack": "test"
        }
      },
      "scrape_configs": [
        {
          "job_name": "prometheus",
          "scheme": "http",
          "metrics_path": "/metrics",
          "static_configs": [
            {
              "targets": [
                "127.0.0.1:9090"
              ]
            }
          ]
        },
        {
          "job_name": "api",
          "scheme": "http",
          "metrics_path": "/metrics",
          "static_configs": [
            {
              "targets": [
                "127.0.0.1:8000"
              ]
            }
          ]
        }
      ]
    }
    ",
          ],
          "mode": "0600",
          "path": "prometheus.yml",
        },
      ],
      "gates": [],
      "generates": [],
      "in": "host",
      "kind": "prometheus",
      "logFile": "STACK/logs/metrics.log",
      "name": "metrics",
      "needs": [],
      "outputs": {
        "host": [
          "127.0.0.1",
        ],
        "port": [
          "9090",
        ],
        "url": [
          "http://127.0.0.1:9090",
        ],
      },
      "ports": [
        {
          "host": "127.0.0.1",
          "port": 9090,
        },
      ],
      "readyTimeoutMs": 60000,
      "required": true,
      "restart": "always",
      "run": "service",
      "stopGraceMs": 60000,
      "stopSignal": "TERM",
      "tools": [
        "prometheus",
      ],
    }
  `));

describe("a setting changes the plan", () => {
  it.each<[string, object, object]>([
    ["port", { port: 7000 }, { check: { url: "http://127.0.0.1:7000" }, outputs: { port: ["7000"] } }],
    [
      "retention",
      { retention: "90m" },
      { argv: expect.arrayContaining(["--storage.tsdb.retention.time=5400s"]) as string[] },
    ],
    [
      "retentionSize",
      { retentionSize: "1GiB" },
      { argv: expect.arrayContaining(["--storage.tsdb.retention.size=1073741824B"]) as string[] },
    ],
  ])("%s", (_what, settings, expected) => expect(plan(settings)).toMatchObject(expected));

  it("interval", () =>
    expect(printable(plan({ interval: "500ms" }).files[0]?.content ?? [])).toContain('"scrape_interval": "1s"'));
});

describe("a target", () => {
  it.each<[string, object]>([
    ["${api.url}", { scheme: "http", metrics_path: "/metrics", static_configs: [{ targets: ["127.0.0.1:8000"] }] }],
    ["https://gpu.example.com/a?x=1&x=2", { scheme: "https", metrics_path: "/a", params: { x: ["1", "2"] } }],
  ])("%s", (target, expected) => expect(jobs({ it: target })).toMatchObject([{ job_name: "it", ...expected }]));

  it.each(["${off.url?}", "${off.url?}/metrics"])("that is switched off is none: %s", (target) =>
    expect(jobs({ it: target })).toEqual([]),
  );

  it("is a URL", () =>
    expect(problemsOf(raw({ targets: { it: "api:8000" } }))).toEqual([
      {
        code: "TARGET_URL",
        where: "services.metrics.targets.it",
        expected: "an http:// or https:// address",
        got: "`api:8000`",
        fix: "refer to a service: `${name.url}/metrics`",
      },
    ]));

  it("is not waited for", () => {
    const { services } = planOf({
      services: {
        metrics: { kind: "prometheus", targets: { api: "${api.url}" } },
        api: { ...web, env: { M: "${metrics.url}" } },
      },
    });
    expect(services.map(({ name, needs }) => [name, needs])).toEqual([
      ["metrics", []],
      ["api", ["metrics"]],
    ]);
  });
});

describe("in a container", () => {
  const contained = () =>
    readable(
      containerOf(
        {
          settings: { in: "container" },
          services: { api: { ...web, image: "a:1" }, metrics: { kind: "prometheus", targets: { api: "${api.url}" } } },
        },
        "metrics",
      ),
    );
  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
      {
        "binds": {
          "/run/engineroom": "CONTAINERS/metrics/private/files",
        },
        "capabilities": [],
        "check": {
          "kind": "prometheus",
          "url": "http://127.0.0.1:9090",
        },
        "command": [
          "--config.file=/run/engineroom/prometheus.yml",
          "--storage.tsdb.path=/prometheus",
          "--storage.tsdb.retention.time=1296000s",
          "--web.listen-address=0.0.0.0:9090",
        ],
        "entrypoint": [
          "prometheus",
        ],
        "environment": [
          "ENGINEROOM_SERVICE=metrics",
          "ENGINEROOM_STACK=test",
          "HOME=/tmp",
          "LANG=C.UTF-8",
          "PYTHONUNBUFFERED=1",
        ],
        "files": {
          "directory": "CONTAINERS/metrics/private/files",
          "env": {},
          "files": [
            {
              "content": [
                "{
        "global": {
          "scrape_interval": "15s",
          "external_labels": {
            "stack": "test"
          }
        },
        "scrape_configs": [
          {
            "job_name": "prometheus",
            "scheme": "http",
            "metrics_path": "/metrics",
            "static_configs": [
              {
                "targets": [
                  "127.0.0.1:9090"
                ]
              }
            ]
          },
          {
            "job_name": "api",
            "scheme": "http",
            "metrics_path": "/metrics",
            "static_configs": [
              {
                "targets": [
                  "api:8000"
                ]
              }
            ]
          }
        ]
      }
      ",
              ],
              "mode": "0600",
              "path": "prometheus.yml",
            },
          ],
          "home": "CONTAINERS/metrics",
          "service": "metrics",
        },
        "hosts": {},
        "image": "prometheus:3",
        "memoryMiB": 512,
        "name": "test-metrics",
        "ports": [
          {
            "external": 9090,
            "internal": 9090,
            "ip": "127.0.0.1",
          },
        ],
        "readOnly": true,
        "restart": "unless-stopped",
        "service": "metrics",
        "stopGraceSeconds": 60,
        "stopSignal": "SIGTERM",
        "user": "65534:65534",
        "volumes": [
          {
            "kept": true,
            "name": "test-metrics",
            "target": "/prometheus",
          },
        ],
      }
    `));
});
