import { describe, expect, it } from "vitest";
import { containerOf, context, planOf, readable, serviceOf, source } from "#tests/support/stack.ts";

const plan = (settings: object = {}) =>
  readable(serviceOf({ services: { site: { kind: "frontend", build: "./pages", ...settings } } }, "site"));

it("has this plan", () =>
  expect(plan()).toMatchInlineSnapshot(`
  {
    "argv": [
      "/opt/nginx/nginx",
      "-p",
      "STACK/services/site/",
      "-c",
      "STACK/services/site/nginx.conf",
      "-e",
      "stderr",
      "-g",
      "daemon off;",
    ],
    "build": {
      "key": "pages-bbbbbbbbbbbb",
      "kind": "node",
      "source": "PROJECT/pages",
      "target": "CACHE/builds/pages-bbbbbbbbbbbb",
    },
    "check": {
      "kind": "http",
      "url": "http://127.0.0.1:3000/",
    },
    "cwd": "STACK/services/site",
    "dataKept": true,
    "directories": [
      "STACK/services/site/temp",
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
    client_max_body_size 1048576;
    types {
      text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
      image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
    }
    default_type application/octet-stream;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    server {
      listen 127.0.0.1:3000;
      location = /__engineroom { access_log off; add_header Engineroom-Owner "lab/test"; return 204; }
      root "CACHE/builds/pages-bbbbbbbbbbbb/dist";
      location /assets/ { add_header Cache-Control "public, max-age=31536000, immutable"; }
      location / { try_files $uri $uri/ /index.html; add_header Cache-Control "no-cache"; }
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
    "kind": "frontend",
    "logFile": "STACK/logs/site.log",
    "name": "site",
    "needs": [],
    "outputs": {
      "host": [
        "127.0.0.1",
      ],
      "port": [
        "3000",
      ],
      "url": [
        "http://127.0.0.1:3000",
      ],
    },
    "ports": [
      {
        "host": "127.0.0.1",
        "port": 3000,
      },
    ],
    "readyTimeoutMs": 30000,
    "reload": {
      "file": "nginx.conf",
      "test": [
        "/opt/nginx/nginx",
        "-p",
        "STACK/services/site/",
        "-t",
        "-q",
        "-c",
        "STACK/services/site/nginx.conf.new",
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

describe("a setting changes the plan", () => {
  it("port", () =>
    expect(plan({ port: 9000 })).toMatchObject({
      ports: [{ host: "127.0.0.1", port: 9000 }],
      check: { url: "http://127.0.0.1:9000/" },
      outputs: { url: ["http://127.0.0.1:9000"] },
    }));
});

describe("dev", () => {
  const dev = (more: object = {}) =>
    readable(serviceOf({ services: { site: { kind: "frontend", build: "./pages", dev: true }, ...more } }, "site"));

  it("is Vite in the directory itself, of which nothing is copied or hashed", () => {
    const { argv, cwd, env, build, source, files, check, tools } = dev();
    expect({ argv, cwd, env, build, source, files, check, tools }).toEqual({
      argv: ["npm", "run", "dev", "--", "--host", "127.0.0.1", "--port", "3000", "--strictPort"],
      cwd: "PROJECT/pages",
      env: { PATH: ["/opt/node/bin:/usr/local/bin:/usr/bin:/bin"], npm_config_update_notifier: ["false"] },
      build: undefined,
      source: {
        path: "PROJECT/pages",
        packages: { path: "PROJECT/pages/node_modules", command: "npm install --prefix PROJECT/pages" },
      },
      files: [],
      check: { kind: "http", url: "http://127.0.0.1:3000/" },
      tools: ["node"],
    });
  });

  it("answers to the domain of the stack's nginx, which does not wait for it", () => {
    const edge = { kind: "nginx", domain: "lab.example.com", routes: { "/": "${site.url}" } };
    expect(dev({ edge })).toMatchObject({
      env: { __VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS: ["lab.example.com"] },
      needs: [],
    });
  });

  it("changes nothing when the source does", () => {
    const edited = source("/home/me/lab/pages", "node", { hash: "d".repeat(64) });
    const services = { site: { kind: "frontend", build: "./pages", dev: true } };
    const after = planOf({ services }, { ...context, sources: new Map([["./pages", edited]]) });
    expect(after).toEqual(planOf({ services }));
  });
});

describe("in a container", () => {
  const contained = (settings: object = {}, where = context) =>
    containerOf({ services: { site: { kind: "frontend", build: "./pages", ...settings } } }, "site", where);

  it("has this plan", () =>
    expect(contained()).toMatchInlineSnapshot(`
    {
      "binds": {
        "/run/engineroom": "CONTAINERS/site/private/files",
      },
      "capabilities": [],
      "check": {
        "kind": "http",
        "url": "http://127.0.0.1:3000/",
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
        "ENGINEROOM_SERVICE=site",
        "ENGINEROOM_STACK=test",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
      ],
      "files": {
        "directory": "CONTAINERS/site/private/files",
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
      client_max_body_size 1048576;
      types {
        text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
        image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
      }
      default_type application/octet-stream;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      server {
        listen 0.0.0.0:3000;
        location = /__engineroom { access_log off; add_header Engineroom-Owner "lab/test"; return 204; }
        root "/app/dist";
        location /assets/ { add_header Cache-Control "public, max-age=31536000, immutable"; }
        location / { try_files $uri $uri/ /index.html; add_header Cache-Control "no-cache"; }
      }
    }
    ",
            ],
            "mode": "0600",
            "path": "nginx.conf",
          },
        ],
        "home": "CONTAINERS/site",
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
        "service": "site",
      },
      "hosts": {},
      "image": "engineroom-lab-test/pages:HASH",
      "memoryMiB": 256,
      "name": "test-site",
      "ports": [
        {
          "external": 3000,
          "internal": 3000,
          "ip": "127.0.0.1",
        },
      ],
      "readOnly": true,
      "restart": "unless-stopped",
      "service": "site",
      "stopGraceSeconds": 10,
      "stopSignal": "SIGQUIT",
      "user": "101:101",
      "volumes": [],
      "workingDir": "/app",
    }
  `));

  it("of its own Dockerfile still runs our nginx, on the pages in /app/dist", () => {
    const pages = source("/home/me/lab/pages", "node", { dockerfile: true });
    const { entrypoint, command, user, files } = contained({}, { ...context, sources: new Map([["./pages", pages]]) });
    expect([entrypoint, command, user]).toEqual([contained().entrypoint, contained().command, "101:101"]);
    expect(files).toEqual(contained().files);
  });
});
