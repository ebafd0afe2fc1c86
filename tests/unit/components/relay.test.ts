import { expect, it } from "vitest";
import { networkPlan } from "#stack/containers.ts";
import { printable } from "#stack/text.ts";
import { context, readable, serviceOf } from "#tests/support/stack.ts";

const { gateway, subnet } = networkPlan(context.places, {});
const plan = (database: object = {}) =>
  serviceOf(
    {
      services: {
        db: { kind: "postgres", ...database },
        pages: { kind: "nginx", address: "0.0.0.0" },
        inner: { kind: "nginx", address: "192.0.2.7", port: 9000 },
        api: {
          kind: "web",
          in: "container",
          image: "x",
          command: ["serve"],
          env: { DB: "${db.url}", PAGES: "${pages.url}", INNER: "${inner.url}" },
        },
      },
    },
    "relay",
  );

it("has this plan", () => {
  const text = JSON.stringify(readable(plan())).replaceAll(gateway, "GATEWAY").replaceAll(subnet, "SUBNET");
  expect(JSON.parse(text)).toMatchInlineSnapshot(`
    {
      "argv": [
        "/opt/nginx/nginx",
        "-p",
        "STACK/services/relay/",
        "-c",
        "STACK/services/relay/nginx.conf",
        "-e",
        "stderr",
        "-g",
        "daemon off;",
      ],
      "check": {
        "host": "GATEWAY",
        "kind": "tcp",
        "port": 5432,
      },
      "cwd": "STACK/services/relay",
      "dataKept": true,
      "directories": [],
      "env": {},
      "files": [
        {
          "content": [
            "worker_processes 1;
    pid nginx.pid;
    events { worker_connections 4096; }
    stream {
      proxy_connect_timeout 2s;
      proxy_timeout 7d;
      proxy_socket_keepalive on;
      allow SUBNET;
      deny all;
      server { listen GATEWAY:5432; proxy_pass 127.0.0.1:5432; }
      server { listen GATEWAY:9000; proxy_pass 192.0.2.7:9000; }
    }
    ",
          ],
          "mode": "0600",
          "path": "nginx.conf",
        },
      ],
      "gates": [],
      "generates": [],
      "in": "host",
      "kind": "relay",
      "logFile": "STACK/logs/relay.log",
      "name": "relay",
      "needs": [],
      "outputs": {},
      "ports": [
        {
          "host": "GATEWAY",
          "port": 5432,
        },
        {
          "host": "GATEWAY",
          "port": 9000,
        },
      ],
      "readyTimeoutMs": 30000,
      "reload": {
        "file": "nginx.conf",
        "test": [
          "/opt/nginx/nginx",
          "-p",
          "STACK/services/relay/",
          "-t",
          "-q",
          "-c",
          "STACK/services/relay/nginx.conf.new",
          "-e",
          "stderr",
          "-g",
          "daemon off;",
        ],
      },
      "required": true,
      "restart": "always",
      "run": "service",
      "stopGraceMs": 5000,
      "stopSignal": "TERM",
      "tools": [
        "nginx",
      ],
    }
  `);
});

it("listens at this host's address in the network, and nowhere else", () => {
  const conf = printable(plan({ port: 6000 }).files[0]?.content ?? []);
  const listens = [...conf.matchAll(/\blisten\s+(\S+);/g)].map(([, address]) => address);
  expect(listens).toEqual([`${gateway}:6000`, `${gateway}:9000`]);
});

it("lets only the network through", () =>
  expect(printable(plan().files[0]?.content ?? []).match(/^ *(allow|deny) .*$/gm)).toEqual([
    `  allow ${subnet};`,
    "  deny all;",
  ]));

it("hands on to where a service listens; one that listens everywhere needs no help", () => {
  const conf = printable(plan().files[0]?.content ?? []);
  const targets = [...conf.matchAll(/\bproxy_pass\s+(\S+);/g)].map(([, address]) => address);
  expect(targets).toEqual(["127.0.0.1:5432", "192.0.2.7:9000"]);
});

it("is the same whatever the order of services in the file", () => {
  const plain = { kind: "nginx" };
  const user = {
    kind: "web",
    in: "container",
    image: "x",
    command: ["serve"],
    needs: [],
    env: { A: "${a.url} ${b.url}" },
  };
  const of = (services: object) => serviceOf({ services: { ...services, user } }, "relay");
  const [a, b] = [
    { ...plain, port: 7001 },
    { ...plain, port: 7000 },
  ];
  expect(of({ a, b })).toEqual(of({ b, a }));
});
