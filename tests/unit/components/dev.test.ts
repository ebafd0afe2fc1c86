import { describe, expect, it } from "vitest";
import { containerSpec } from "#runtime/container-spec.ts";
import { readStackFile } from "#stack/file.ts";
import { loadStack } from "#stack/load.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, readable, source } from "#tests/support/stack.ts";

// Pulumi.dev.yaml as shipped: the same chain in containers.

const file = readStackFile(process.cwd(), "dev");
if ("problems" in file) throw new Error(JSON.stringify(file.problems));
const { raw, problems } = sectionsOf(file.config);
const sources = new Map([
  ["./examples/apps/api", source("/home/me/lab/examples/apps/api", "python")],
  ["./examples/apps/web", source("/home/me/lab/examples/apps/web", "node", { hash: "b".repeat(64) })],
]);
const loaded = loadStack(raw, { ...context, sources });

describe("Pulumi.dev.yaml", () => {
  it("has no problem", () => {
    expect(problems).toEqual([]);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  });

  it("is this stack", () => {
    if ("problems" in loaded) throw new Error("no plan");
    const { services, builds, imageBuilds, network, disabled } = readable(loaded.plan);
    const rows = services.map((service) => {
      const spec = containerSpec(service, loaded.plan);
      if (!spec) throw new Error(`${service.name} is no container`);
      const ports = spec.ports.map(({ ip, external, internal }) => `${ip}:${external}→${internal}`);
      const volumes = spec.volumes.map(({ name, target, kept }) => `${name} at ${target}${kept ? ", kept" : ""}`);
      return [
        `${service.name} ${service.kind} needs ${service.needs.join(" ")}`.replace(/ needs $/, ""),
        `${spec.name} of ${spec.image.replace(/:[0-9a-f]{12}$/, ":HASH")} as ${spec.user}, ${spec.memoryMiB} MiB`,
        [...ports, ...volumes].join(", "),
        [...spec.entrypoint, ...spec.command].join(" "),
      ];
    });
    expect(rows).toMatchInlineSnapshot(`
      [
        [
          "db postgres",
          "test-db of postgres:18 as 999:999, 1184 MiB",
          "127.0.0.1:25432→5432, test-db at /var/lib/postgresql",
          "/bin/sh /run/engineroom/start.sh",
        ],
        [
          "broker redis",
          "test-broker of valkey:8 as 999:999, 576 MiB",
          "127.0.0.1:26379→6379, test-broker at /data",
          "valkey-server /run/engineroom/redis.conf",
        ],
        [
          "chat llama-server",
          "test-chat of llama:1 as 1000:1000, 1680 MiB",
          "127.0.0.1:28081→8081",
          "/app/llama-server --model /models/gemma-3-270m-q4_k_m.gguf --alias gemma-270m --host 0.0.0.0 --port 8081 --ctx-size 2048 --parallel 1 --threads 2 --chat-template-file /run/engineroom/chat-template.jinja",
        ],
        [
          "migrate job needs db",
          "test-migrate of engineroom-lab-test/api:HASH as 10001:10001, 1024 MiB",
          "",
          "/bin/sh /run/engineroom/entry.sh alembic upgrade head",
        ],
        [
          "api web needs broker chat db migrate",
          "test-api of engineroom-lab-test/api:HASH as 10001:10001, 1024 MiB",
          "127.0.0.1:28000→8000",
          "/bin/sh /run/engineroom/entry.sh uvicorn app.main:app --host 0.0.0.0 --port 8000",
        ],
        [
          "worker dramatiq-worker needs broker chat db migrate",
          "test-worker of engineroom-lab-test/api:HASH as 10001:10001, 1024 MiB",
          "",
          "/bin/sh /run/engineroom/entry.sh dramatiq --processes 1 --threads 1 app.tasks",
        ],
        [
          "site frontend",
          "test-site of engineroom-lab-test/web:HASH as 101:101, 256 MiB",
          "127.0.0.1:23000→3000",
          "nginx -p /tmp/ -c /run/engineroom/nginx.conf -e stderr -g daemon off;",
        ],
        [
          "edge nginx",
          "test-edge of nginx:1 as 101:101, 256 MiB",
          "127.0.0.1:8080→8080",
          "nginx -p /tmp/ -c /run/engineroom/nginx.conf -e stderr -g daemon off;",
        ],
      ]
    `);
    expect([builds, disabled]).toEqual([[], []]);
    expect(imageBuilds.map(({ resource, kind, source: from }) => [resource, kind, from])).toEqual([
      ["image-examples/apps/api", "python", "PROJECT/examples/apps/api"],
      ["image-examples/apps/web", "node", "PROJECT/examples/apps/web"],
    ]);
    expect(network).toMatchObject({ name: "engineroom-test" });
  });

  it("is the stack of Pulumi.local.yaml but for where it runs and what it leaves", () => {
    const local = readStackFile(process.cwd(), "local");
    if ("problems" in local) throw new Error(JSON.stringify(local.problems));
    const { settings, ...others } = sectionsOf(local.config).raw;
    expect({ ...raw, settings: undefined }).toEqual({ ...others, settings: undefined });
    expect([settings, raw.settings]).toEqual([
      { in: "host", portOffset: 10_000 },
      { in: "container", portOffset: 20_000, data: "disposable" },
    ]);
  });
});
