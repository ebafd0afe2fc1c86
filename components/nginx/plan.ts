import type { z } from "zod";
import type { Text } from "#stack/text.ts";
import { defineKind, LOOPBACK, serviceDir, type KindPlan, type PlanContext } from "../kind.ts";
import { nginxSettings } from "./settings.ts";

type Settings = z.output<typeof nginxSettings>;

/** Only engineroom's own servers answer here with the stack's owner id. */
const IDENTITY = { path: "/__engineroom", header: "Engineroom-Owner" } as const;

interface Server {
  readonly address: string;
  readonly maxBody: number;
  /** `location` blocks. */
  readonly locations: readonly string[];
}

/** The plan of one nginx that serves `server`; also used for built pages. */
export function planNginx(server: Server, context: PlanContext): KindPlan {
  const home = serviceDir(context);
  return {
    argv: [
      context.tool("nginx").path,
      "-p",
      `${home}/`,
      "-c",
      `${home}/nginx.conf`,
      "-e",
      "stderr",
      "-g",
      "daemon off;",
    ],
    files: [{ path: "nginx.conf", mode: "0600", content: [nginxConf(server, context)] }],
    directories: [`${home}/temp`],
    tools: ["nginx"],
    check: {
      kind: "http",
      url: `http://${server.address === "0.0.0.0" ? LOOPBACK : server.address}:${context.port}${IDENTITY.path}`,
      status: 204,
      header: { name: IDENTITY.header, value: context.places.owner },
    },
    readyTimeoutMs: 30_000,
    // Graceful: answers under way are finished.
    stopSignal: "QUIT",
    stopGraceMs: 10_000,
  };
}

function nginxConf(server: Server, context: PlanContext): string {
  return `worker_processes auto;
pid temp/nginx.pid;
worker_shutdown_timeout 10s;
events { worker_connections 1024; }
http {
  access_log /dev/stdout;
  server_tokens off;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
  client_max_body_size ${server.maxBody};
  types {
    text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
    image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
  }
  default_type application/octet-stream;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen ${server.address}:${context.port};
    location = ${IDENTITY.path} { access_log off; add_header ${IDENTITY.header} "${context.places.owner}"; return 204; }
${server.locations.map((location) => `    ${location}`).join("\n")}
  }
}
`;
}

/** Buffering is off, so that a token stream arrives token by token; the long timeout is between two reads. */
function proxyLocation(prefix: string, target: string): string {
  return `location ${prefix} {
      proxy_pass ${target};
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
    }`;
}

const outputs = (settings: Settings, context: PlanContext): Readonly<Record<string, Text>> => ({
  host: [settings.address],
  port: [String(context.port)],
  url: [`http://${settings.address === "0.0.0.0" ? LOOPBACK : settings.address}:${context.port}`],
});

export const nginx = defineKind<Settings>({
  settings: nginxSettings,
  className: "Nginx",
  defaultPort: 8080,
  outputs,
  plan: (settings, context) =>
    planNginx(
      {
        address: settings.address,
        maxBody: settings.maxBody,
        // A target that is switched off, `${name.url?}`, leaves nothing to route to.
        locations: Object.entries(settings.routes)
          .filter(([, target]) => target !== "")
          .map(([prefix, target]) => proxyLocation(prefix, target)),
      },
      context,
    ),
});
