import { describe, expect, it } from "vitest";
import { readStackFile } from "#stack/file.ts";
import { loadStack } from "#stack/load.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, readable, source } from "#tests/support/stack.ts";

// Pulumi.local.yaml as shipped: the first thing that anybody runs.

const file = readStackFile(process.cwd(), "local");
if ("problems" in file) throw new Error(JSON.stringify(file.problems));
const { raw, problems } = sectionsOf(file.config);
const sources = new Map([
  ["./examples/apps/api", source("/home/me/lab/examples/apps/api", "python")],
  ["./examples/apps/web", source("/home/me/lab/examples/apps/web", "node", { hash: "b".repeat(64) })],
]);
const loaded = loadStack(raw, { ...context, sources });

describe("Pulumi.local.yaml", () => {
  it("has no problem", () => {
    expect(problems).toEqual([]);
    expect("problems" in loaded ? loaded.problems : []).toEqual([]);
  });

  it("is this stack", () => {
    if ("problems" in loaded) throw new Error("no plan");
    const { services, builds } = readable(loaded.plan);
    const rows = services.map(({ name, kind, ports, needs, argv }) => [
      `${name} ${kind} ${ports.map(({ port }) => port).join()} needs ${needs.join(" ")}`.replace(/ needs $/, ""),
      argv.map((word) => word.split("/").at(-1)).join(" "),
    ]);
    expect([...rows, ...builds.map(({ key }) => key)]).toMatchInlineSnapshot(`
      [
        [
          "db postgres 15432",
          "sh start.sh",
        ],
        [
          "broker redis 16379",
          "valkey-server redis.conf",
        ],
        [
          "chat llama-server 18081",
          "llama-server --model gemma-3-270m-q4_k_m.gguf --alias gemma-270m --host 127.0.0.1 --port 18081 --ctx-size 2048 --parallel 1 --threads 2 --chat-template-file chat-template.jinja",
        ],
        [
          "migrate job  needs db",
          "alembic upgrade head",
        ],
        [
          "api web 18000 needs broker chat db migrate",
          "uvicorn app.main:app --host 127.0.0.1 --port 18000",
        ],
        [
          "worker dramatiq-worker  needs broker chat db migrate",
          "dramatiq --processes 1 --threads 1 app.tasks",
        ],
        [
          "site frontend 13000",
          "nginx -p  -c nginx.conf -e stderr -g daemon off;",
        ],
        [
          "edge nginx 8080",
          "nginx -p  -c nginx.conf -e stderr -g daemon off;",
        ],
        "api-aaaaaaaaaaaa",
        "web-bbbbbbbbbbbb",
      ]
    `);
  });
});
