import { describe, expect, it } from "vitest";
import { networkPlan } from "#stack/containers.ts";
import { printable } from "#stack/text.ts";
import { containerOf, context, problemsOf, readable, serviceOf } from "#tests/support/stack.ts";

const web = { kind: "web", command: ["serve"] };
const plan = (settings: object = {}) =>
  readable(
    serviceOf(
      {
        services: {
          api: web,
          off: { ...web, enabled: false },
          edge: { kind: "nginx", routes: { "/": "${api.url}" }, ...settings },
        },
      },
      "edge",
    ),
  );
const conf = (settings: object = {}) => printable(plan(settings).files[0]?.content ?? []);

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/nginx/nginx",
      "-p",
      "STACK/services/edge/",
      "-c",
      "STACK/services/edge/nginx.conf",
      "-e",
      "stderr",
      "-g",
      "daemon off;",
    ],
    "check": {
      "header": {
        "name": "Engineroom-Owner",
        "value": "lab/test",
      },
      "kind": "http",
      "status": 204,
      "url": "http://127.0.0.1:8080/__engineroom",
    },
    "cwd": "STACK/services/edge",
    "dataKept": true,
    "directories": [
      "STACK/services/edge/temp",
    ],
    "env": {},
    "files": [
      {
        "content": [
          "worker_processes auto;
  pid temp/nginx.pid;
  worker_shutdown_timeout 10m;
  events { worker_connections 1024; }
  http {
    access_log /dev/stdout;
    server_tokens off;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    client_max_body_size 16777216;
    types {
      text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
      image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
    }
    default_type application/octet-stream;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    server {
      listen 127.0.0.1:8080;
      location = /__engineroom { access_log off; add_header Engineroom-Owner "lab/test"; return 204; }
      location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_buffering off;
        proxy_connect_timeout 2s;
        proxy_read_timeout 3600s;
        proxy_send_timeout 3600s;
      }
    }
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
    "kind": "nginx",
    "logFile": "STACK/logs/edge.log",
    "name": "edge",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "port": [
        "8080",
      ],
      "url": [
        "http://127.0.0.1:8080",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 8080,
      },
    ],
    "readyTimeoutMs": 30000,
    "reload": {
      "file": "nginx.conf",
      "test": [
        "/opt/nginx/nginx",
        "-p",
        "STACK/services/edge/",
        "-t",
        "-q",
        "-c",
        "STACK/services/edge/nginx.conf.new",
        "-e",
        "stderr",
        "-g",
        "daemon off;",
      ],
    },
    "required": true,
    "restart": "always",
    "run": "service",
    "stopGraceMs": 10000,
    "stopSignal": "QUIT",
    "tools": [
      "nginx",
    ],
  }
`));

describe("nginx.conf", () => {
  it.each<[string, object, string]>([
    ["listens on loopback", {}, "listen 127.0.0.1:8080;"],
    ["listens where it is told", { address: "0.0.0.0", port: 80 }, "listen 0.0.0.0:80;"],
    ["takes bodies up to the limit", { maxBody: "1KB" }, "client_max_body_size 1000;"],
    ["says whose it is", {}, 'add_header Engineroom-Owner "lab/test"; return 204;'],
    [
      "passes on what is asked",
      { routes: { "/v1/": "${api.url}" } },
      "location /v1/ {\n      proxy_pass http://127.0.0.1:8000;",
    ],
  ])("%s", (_what, settings, part) => expect(conf(settings)).toContain(part));

  it("has no place for a target that is switched off", () =>
    expect(conf({ routes: { "/": "${off.url?}" } })).not.toContain("proxy_pass"));
});

describe("a backup", () => {
  const to = "http://127.0.0.1:1";
  it("is asked while the first one does not answer", () => {
    const text = conf({ routes: { "/": { to, backup: "${api.url}" } } });
    expect(text).toContain(
      "  upstream 127.0.0.1_1_or_127.0.0.1_8000 { zone 127.0.0.1_1_or_127.0.0.1_8000 64k; " +
        "server 127.0.0.1:1 max_fails=1 fail_timeout=1s; server 127.0.0.1:8000 max_fails=0 backup; }\n",
    );
    expect(text).toContain(`location / {
      proxy_pass http://127.0.0.1_1_or_127.0.0.1_8000;
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_next_upstream_tries 2;
`);
  });

  it.each([
    [{ to: "${off.url?}", backup: "${api.url}" }, "proxy_pass http://127.0.0.1:8000;"],
    [{ to: "${api.url}", backup: "${off.url?}" }, "proxy_pass http://127.0.0.1:8000;"],
  ])("that is alone is the one: %j", (route, line) => {
    expect(conf({ routes: { "/": route } })).toContain(line);
    expect(conf({ routes: { "/": route } })).not.toContain("upstream ");
  });

  it.each([
    ["${api.url}/v1", "`http://127.0.0.1:8000/v1`"],
    ["https://127.0.0.1:2", "`https://127.0.0.1:2`"],
    ["http://nowhere", "`http://nowhere`"],
  ])("has the form of the first one: %s", (backup, shown) =>
    expect(
      problemsOf({
        services: { api: web, edge: { kind: "nginx", routes: { "/": { to, backup } } } },
      }),
    ).toEqual([
      {
        code: "ROUTE_BACKUP",
        where: "services.edge.routes./.backup",
        expected: "a URL with a port that differs from that of `to` in host and port alone",
        got: `\`${to}\` for ${shown}`,
        fix: "write both as `${name.url}`",
      },
    ]),
  );
});

it("speaks HTTP to a target of WebSockets", () =>
  expect(conf({ routes: { "/ws/": "ws://127.0.0.1:9001" } })).toContain("proxy_pass http://127.0.0.1:9001;"));

it("has a name", () => {
  const named = plan({ domain: "lab.localhost" });
  expect(conf({ domain: "lab.localhost" })).toContain("listen 127.0.0.1:8080;\n    server_name lab.localhost;\n");
  expect(named.outputs).toMatchObject({ domain: ["lab.localhost"], domainUrl: ["http://lab.localhost:8080"] });
  expect(plan({ domain: "lab.example", port: 80 }).outputs).toMatchObject({ domainUrl: ["http://lab.example"] });
});

it("is asked at loopback where it listens everywhere", () =>
  expect(plan({ address: "0.0.0.0", port: 80 })).toMatchObject({
    ports: [{ host: "0.0.0.0", port: 80 }],
    check: { url: "http://127.0.0.1:80/__engineroom" },
    outputs: { url: ["http://127.0.0.1:80"] },
  }));

describe("in a container", () => {
  const contained = (settings: object = {}, api: object = {}) =>
    containerOf(
      {
        services: {
          api: { ...web, build: "./app", ...api },
          off: { ...web, enabled: false },
          edge: { kind: "nginx", routes: { "/": "${api.url}" }, ...settings },
        },
      },
      "edge",
    );
  const confOf = (settings: object = {}, api: object = {}) =>
    printable(contained(settings, api).files?.files[0]?.content ?? []);

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/edge/private/files",
      },
      "capabilities": [],
      "check": {
        "header": {
          "name": "Engineroom-Owner",
          "value": "lab/test",
        },
        "kind": "http",
        "status": 204,
        "url": "http://127.0.0.1:8080/__engineroom",
      },
      "command": [
        "-p",
        "/tmp/",
        "-c",
        "/run/engineroom/nginx.conf",
        "-e",
        "stderr",
        "-g",
        "daemon off;",
      ],
      "entrypoint": [
        "nginx",
      ],
      "environment": [
        "ENGINEROOM_SERVICE=edge",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/edge/private/files",
        "env": {},
        "files": [
          {
            "content": [
              "worker_processes auto;
    pid nginx.pid;
    worker_shutdown_timeout 10m;
    events { worker_connections 1024; }
    http {
      access_log /dev/stdout;
      server_tokens off;
      client_body_temp_path body;
      proxy_temp_path proxy;
      fastcgi_temp_path fastcgi;
      uwsgi_temp_path uwsgi;
      scgi_temp_path scgi;
      client_max_body_size 16777216;
      types {
        text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
        image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
      }
      default_type application/octet-stream;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      resolver 127.0.0.11 valid=1s ipv6=off;
      upstream api_8000 { zone api_8000 64k; server api:8000 resolve max_fails=0; }
      server {
        listen 0.0.0.0:8080;
        location = /__engineroom { access_log off; add_header Engineroom-Owner "lab/test"; return 204; }
        location / {
          proxy_pass http://api_8000;
          proxy_http_version 1.1;
          proxy_set_header Host $host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_buffering off;
          proxy_connect_timeout 2s;
          proxy_read_timeout 3600s;
          proxy_send_timeout 3600s;
        }
      }
    }
    ",
            ],
            "mode": "0600",
            "path": "nginx.conf",
          },
        ],
        "home": "CONTAINERS/edge",
        "reload": {
          "file": "nginx.conf",
          "test": [
            "nginx",
            "-p",
            "/tmp/",
            "-t",
            "-q",
            "-c",
            "/run/engineroom/nginx.conf.new",
            "-e",
            "stderr",
            "-g",
            "daemon off;",
          ],
        },
        "service": "edge",
      },
      "hosts": {},
      "image": "nginx:1",
      "memoryMiB": 256,
      "name": "test-edge",
      "ports": [
        {
          "external": 8080,
          "internal": 8080,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "edge",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGQUIT",
      "user": "101:101",
      "volumes": [],
    }
  `));

  it("asks the engine's name server for a container, again and again", () => {
    const conf = confOf({ routes: { "/": "${api.url}", "/api/": "${api.url}/v1/" } });
    expect(conf.match(/^ *(resolver|upstream) .*$/gm)).toEqual([
      "  resolver 127.0.0.11 valid=1s ipv6=off;",
      "  upstream api_8000 { zone api_8000 64k; server api:8000 resolve max_fails=0; }",
    ]);
    expect(conf.match(/proxy_pass .*;/g)).toEqual(["proxy_pass http://api_8000;", "proxy_pass http://api_8000/v1/;"]);
  });

  it("has a container for another one's backup", () => {
    const conf = confOf({
      routes: { "/": { to: "${api.url}", backup: "${off.url?}" }, "/b": { to: "http://b:1", backup: "${api.url}" } },
    });
    expect(conf.match(/^ *upstream .*$/gm)).toEqual([
      "  upstream api_8000 { zone api_8000 64k; server api:8000 resolve max_fails=0; }",
      "  upstream b_1_or_api_8000 { zone b_1_or_api_8000 64k; server b:1 resolve max_fails=1 fail_timeout=1s; server api:8000 resolve max_fails=0 backup; }",
    ]);
  });

  it("finds this host in the hosts file, which no name server reads", () => {
    const conf = confOf({}, { in: "host" });
    expect(conf.match(/^ *(resolver|upstream) .*$/gm)).toEqual(["  resolver 127.0.0.11 valid=1s ipv6=off;"]);
    expect(conf).toContain("proxy_pass http://host.docker.internal:8000;");
    const { gateway } = networkPlan(context.places, {});
    expect(contained({}, { in: "host" }).hosts).toEqual({ "host.docker.internal": gateway });
  });

  it("passes a target on that is no service", () =>
    expect(confOf({ routes: { "/": "https://example.org" } })).toContain("proxy_pass https://example.org;"));

  it("has no place for a target that is switched off", () =>
    expect(confOf({ routes: { "/": "${off.url?}" } })).not.toContain("proxy_pass"));

  it("is published where it is told, and listens everywhere inside", () => {
    expect(contained({ address: "0.0.0.0", port: 80 }).ports).toEqual([{ ip: "0.0.0.0", external: 80, internal: 80 }]);
    expect(confOf({ address: "192.0.2.7", port: 80 })).toContain("listen 0.0.0.0:80;");
  });
});
