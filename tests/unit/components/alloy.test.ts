import { expect, it } from "vitest";
import { containerOf, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

// Proves the plan alone: no machine of ours has the image.
const raw = (settings: object) => ({
  services: {
    logs: { kind: "loki" },
    api: { kind: "web", command: ["serve"], in: "host" },
    ship: { kind: "alloy", loki: "${logs.url}", ...settings },
  },
});

it("has this plan for lines of containers", () =>
  expect(containerOf(raw({ logs: "containers" }), "ship")).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/ship/private/files",
        "/var/run/docker.sock": "/var/run/docker.sock",
      },
      "capabilities": [],
      "check": {
        "kind": "http",
        "url": "http://127.0.0.1:12345/-/ready",
      },
      "command": [
        "run",
        "--server.http.listen-addr=0.0.0.0:12345",
        "--storage.path=/var/tmp/alloy",
        "--disable-reporting",
        "/run/engineroom/config.alloy",
      ],
      "entrypoint": [
        "/bin/alloy",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=ship",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/ship/private/files",
        "env": {},
        "files": [
          {
            "content": [
              "loki.write "loki" {
      endpoint { url = "http://logs:3100/loki/api/v1/push" }
      external_labels = { stack = "test" }
    }
    discovery.docker "stack" {
      host = "unix:///var/run/docker.sock"
      filter {
        name = "label"
        values = ["engineroom.owner=lab/test"]
      }
    }
    discovery.relabel "stack" {
      targets = discovery.docker.stack.targets
      rule {
        source_labels = ["__meta_docker_container_label_engineroom_service"]
        target_label = "service"
      }
    }
    loki.source.docker "stack" {
      host = "unix:///var/run/docker.sock"
      targets = discovery.relabel.stack.output
      forward_to = [loki.write.loki.receiver]
    }
    ",
            ],
            "mode": "0600",
            "path": "config.alloy",
          },
        ],
        "home": "CONTAINERS/ship",
        "service": "ship",
      },
      "hosts": {},
      "image": "engineroom/alloy",
      "memoryMiB": 256,
      "name": "test-ship",
      "ports": [
        {
          "external": 12345,
          "internal": 12345,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "ship",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGTERM",
      "user": "0:0",
      "volumes": [
        {
          "kept": true,
          "name": "test-ship",
          "target": "/var/tmp",
        },
      ],
    }
  `));

it("reads the host's logs as their owner", () => {
  const { container, files } = readable(serviceOf(raw({ logs: "host", needs: ["api"] }), "ship"));
  expect(container).toMatchObject({ user: "1000:1000", mounts: { "/logs": "STACK/logs" } });
  expect(files).toMatchInlineSnapshot(`
    [
      {
        "content": [
          "loki.write "loki" {
      endpoint { url = "http://logs:3100/loki/api/v1/push" }
      external_labels = { stack = "test" }
    }
    local.file_match "logs" {
      path_targets = [{ __path__ = "/logs/*.log" }]
    }
    discovery.relabel "logs" {
      targets = local.file_match.logs.targets
      rule {
        source_labels = ["__path__"]
        regex = "/logs/(.+)\\\\.log"
        target_label = "service"
      }
    }
    loki.source.file "logs" {
      targets = discovery.relabel.logs.output
      forward_to = [loki.write.loki.receiver]
    }
    ",
        ],
        "mode": "0600",
        "path": "config.alloy",
      },
    ]
  `);
});

it("waits for a service of the host, whose logs it reads", () =>
  expect(problemsOf(raw({ logs: "host" }))).toEqual([
    {
      code: "ALLOY_WITHOUT_HOST",
      where: "services.ship.needs",
      expected: "a service on the host that it waits for, because its logs are read",
      got: "none",
      fix: "name one in services.ship.needs, or set services.ship.logs to containers",
    },
  ]));
