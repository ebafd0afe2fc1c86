import { expect, it } from "vitest";
import { printable } from "#stack/text.ts";
import { containerOf, problemsOf, serviceOf } from "#tests/support/stack.ts";

// Proves the plan alone: no machine of ours has the image.
const raw = (settings: object) => ({
  secrets: { r: { env: "R" } },
  services: {
    metrics: { kind: "prometheus" },
    logs: { kind: "loki", enabled: false },
    board: { kind: "grafana", ...settings },
  },
});
const datasources = {
  metrics: { type: "prometheus", url: "${metrics.url}" },
  logs: { type: "loki", url: "${logs.url?}" },
};

it("has this plan", () =>
  expect(containerOf(raw({ datasources }), "board")).toMatchInlineSnapshot(`
  {
    "binds": {
      "/etc/grafana/provisioning/datasources/engineroom.yaml": "CONTAINERS/board/private/files/datasources.yaml",
      "/run/engineroom": "CONTAINERS/board/private/files",
    },
    "capabilities": [],
    "check": {
      "json": {
        "database": "ok",
      },
      "kind": "http",
      "url": "http://127.0.0.1:3000/api/health",
    },
    "command": [
      "server",
      "--homepath=/usr/share/grafana",
      "--config=/run/engineroom/grafana.ini",
    ],
    "entrypoint": [
      "grafana",
    ],
    "environment": [
      "ENGINEROOM_SERVICE=board",
      "ENGINEROOM_STACK=test",
      "HOME=/tmp",
      "LANG=C.UTF-8",
      "PYTHONUNBUFFERED=1",
    ],
    "files": {
      "directory": "CONTAINERS/board/private/files",
      "env": {},
      "files": [
        {
          "content": [
            "[paths]
  data = /var/lib/grafana
  logs = /var/lib/grafana/log
  plugins = /var/lib/grafana/plugins
  provisioning = /etc/grafana/provisioning
  [server]
  http_addr = 0.0.0.0
  http_port = 3000
  [security]
  admin_user = admin
  admin_password = $__file{/run/engineroom/password}
  disable_gravatar = true
  [users]
  allow_sign_up = false
  [auth.anonymous]
  enabled = false
  [analytics]
  reporting_enabled = false
  check_for_updates = false
  check_for_plugin_updates = false
  [log]
  mode = console
  ",
          ],
          "mode": "0600",
          "path": "grafana.ini",
        },
        {
          "content": [
            {
              "as": "plain",
              "secret": "board.password",
            },
          ],
          "mode": "0600",
          "path": "password",
        },
        {
          "content": [
            "{
    "apiVersion": 1,
    "datasources": [
      {
        "name": "metrics",
        "type": "prometheus",
        "url": "http://metrics:9090",
        "access": "proxy"
      }
    ]
  }
  ",
          ],
          "mode": "0600",
          "mountAt": "/etc/grafana/provisioning/datasources/engineroom.yaml",
          "path": "datasources.yaml",
        },
      ],
      "home": "CONTAINERS/board",
      "service": "board",
    },
    "hosts": {},
    "image": "engineroom/grafana",
    "memoryMiB": 512,
    "name": "test-board",
    "ports": [
      {
        "external": 3000,
        "internal": 3000,
        "ip": "127.0.0.1",
      },
    ],
    "readOnly": true,
    "restart": "unless-stopped",
    "service": "board",
    "stopGraceSeconds": 10,
    "stopSignal": "SIGTERM",
    "user": "472:0",
    "volumes": [
      {
        "kept": true,
        "name": "test-board",
        "target": "/var/lib/grafana",
      },
    ],
  }
`));

it("offers a login", () =>
  expect(serviceOf(raw({ password: "${secret.r}" }), "board").outputs).toEqual({
    host: ["127.0.0.1"],
    port: ["3000"],
    url: ["http://127.0.0.1:3000"],
    user: ["admin"],
    password: [{ secret: "secret.r", as: "plain" }],
  }));

it("asks those that are there, and waits for none", () => {
  const board = serviceOf(raw({ datasources }), "board");
  const file = board.files.find(({ path }) => path === "datasources.yaml");
  expect(JSON.parse(printable(file?.content ?? []))).toEqual({
    apiVersion: 1,
    datasources: [{ name: "metrics", type: "prometheus", url: "http://host.docker.internal:9090", access: "proxy" }],
  });
  expect(board.needs).toEqual(["relay"]);
});

it("only ships as an image", () =>
  expect(problemsOf(raw({ in: "host" }))).toEqual([
    {
      code: "STACK_PLACE",
      where: "services.board.in",
      expected: "container: a grafana only ships as an image",
      got: "host",
      fix: "remove services.board.in, or set it to container",
    },
  ]));
