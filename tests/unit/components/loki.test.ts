import { expect, it } from "vitest";
import { containerOf, problemsOf } from "#tests/support/stack.ts";

// Proves the plan alone: no machine of ours has the image.
const raw = (settings: object) => ({ services: { logs: { kind: "loki", ...settings } } });

it("has this plan", () =>
  expect(containerOf(raw({}), "logs")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/run/engineroom": "CONTAINERS/logs/private/files",
    },
    "capabilities": [],
    "check": {
      "kind": "http",
      "url": "http://127.0.0.1:3100/ready",
    },
    "command": [
      "-config.file=/run/engineroom/loki.yaml",
    ],
    "entrypoint": [
      "/usr/bin/loki",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=logs",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/logs/private/files",
      "env": {},
      "files": [
        {
          "content": [
            "{
    "auth_enabled": false,
    "server": {
      "http_listen_address": "0.0.0.0",
      "http_listen_port": 3100,
      "grpc_listen_address": "127.0.0.1",
      "log_level": "warn"
    },
    "common": {
      "instance_addr": "127.0.0.1",
      "path_prefix": "/loki",
      "replication_factor": 1,
      "ring": {
        "kvstore": {
          "store": "inmemory"
        }
      },
      "storage": {
        "filesystem": {
          "chunks_directory": "/loki/chunks",
          "rules_directory": "/loki/rules"
        }
      }
    },
    "schema_config": {
      "configs": [
        {
          "from": "2024-01-01",
          "store": "tsdb",
          "object_store": "filesystem",
          "schema": "v13",
          "index": {
            "prefix": "index_",
            "period": "24h"
          }
        }
      ]
    },
    "limits_config": {
      "retention_period": "720h"
    },
    "compactor": {
      "working_directory": "/loki/compactor",
      "retention_enabled": true,
      "delete_request_store": "filesystem"
    },
    "analytics": {
      "reporting_enabled": false
    }
  }
  ",
          ],
          "mode": "0600",
          "path": "loki.yaml",
        },
      ],
      "home": "CONTAINERS/logs",
      "service": "logs",
    },
    "hosts": {},
    "image": "engineroom/loki",
    "memoryMiB": 512,
    "name": "test-logs",
    "ports": [
      {
        "external": 3100,
        "internal": 3100,
        "ip": "127.0.0.1",
      },
    ],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "logs",
    "stopGraceSeconds": 60,
    "stopSignal": "SIGTERM",
    "user": "10001:10001",
    "volumes": [
      {
        "kept": true,
        "name": "test-logs",
        "target": "/loki",
      },
    ],
  }
`));

it("keeps lines as long as it is told", () =>
  expect(JSON.stringify(containerOf(raw({ retention: "36h" }), "logs").files)).toContain(
    String.raw`\"retention_period\": \"36h\"`,
  ));

it("keeps them a day at least", () =>
  expect(problemsOf(raw({ retention: "1h" }))).toMatchObject([
    { code: "STACK_VALUE", where: "services.logs.retention", expected: "a day or more, such as `7d`" },
  ]));
