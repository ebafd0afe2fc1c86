import type { z } from "zod";
import { HOST_NAME } from "#stack/plan.ts";
import { defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { nginxSettings } from "./settings.ts";

type Settings = z.output<typeof nginxSettings>;

/** Only engineroom's own servers answer here with the stack's owner id. */
const IDENTITY = { path: "/__engineroom", header: "Engineroom-Owner" } as const;

/** Of the image's contract (docs/images.md). */
const IMAGE_USER = "101:101";

interface Server {
  readonly maxBody: number;
  /** `upstream` blocks. */
  readonly upstreams?: readonly string[];
  /** `location` blocks. */
  readonly locations: readonly string[];
  /** On the host: the address to bind. */
  readonly address: string;
}

/** The plan of one nginx that serves `server`; also used for built pages. */
export function planNginx(server: Server, context: PlanContext): KindPlan {
  const onHost = context.in === "host";
  const { home } = context;
  // Where its temporary files go, relative ones of the configuration too: in a container all else is read-only.
  const prefix = onHost ? home : "/tmp";
  return {
    argv: [
      onHost ? context.tool("nginx").path : "nginx",
      ...["-p", `${prefix}/`, "-c", `${home}/nginx.conf`, "-e", "stderr", "-g", "daemon off;"],
    ],
    files: [{ path: "nginx.conf", mode: "0600", content: [nginxConf(server, context)] }],
    directories: onHost ? [`${home}/temp`] : [],
    tools: ["nginx"],
    check: {
      kind: "http",
      url: `http://${context.at.host}:${context.at.port}${IDENTITY.path}`,
      status: 204,
      header: { name: IDENTITY.header, value: context.places.owner },
    },
    readyTimeoutMs: 30_000,
    // Graceful: answers under way are finished.
    stopSignal: "QUIT",
    stopGraceMs: 10_000,
    container: { image: "nginx", user: IMAGE_USER, memoryBytes: 256 * MIB },
  };
}

function nginxConf(server: Server, context: PlanContext): string {
  const onHost = context.in === "host";
  const temp = onHost ? "temp/" : "";
  return `worker_processes auto;
pid ${temp}nginx.pid;
worker_shutdown_timeout 10s;
events { worker_connections 1024; }
http {
  access_log /dev/stdout;
  server_tokens off;
  client_body_temp_path ${temp}body;
  proxy_temp_path ${temp}proxy;
  fastcgi_temp_path ${temp}fastcgi;
  uwsgi_temp_path ${temp}uwsgi;
  scgi_temp_path ${temp}scgi;
  client_max_body_size ${server.maxBody};
  types {
    text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
    image/png png; image/x-icon ico; image/webp webp; font/woff2 woff2; text/plain txt; application/wasm wasm;
  }
  default_type application/octet-stream;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
${(server.upstreams ?? []).map((upstream) => `  ${upstream}\n`).join("")}  server {
    listen ${onHost ? server.address : context.listen}:${context.port};
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

const TARGET = /^(https?:\/\/)([a-z][a-z0-9.-]*):(\d+)(\/.*)?$/;

/**
 * A container's name has no address while the container is down, and another one after each replacement: nginx would
 * not start without it, or keep asking the old one. So the engine's own name server is asked while nginx runs.
 */
function inContainer(routes: readonly (readonly [string, string])[]): Pick<Server, "upstreams" | "locations"> {
  const upstreams = new Map<string, string>();
  const locations = routes.map(([prefix, target]) => {
    const [, scheme = "", host = "", port = "", path = ""] = TARGET.exec(target) ?? [];
    // This host's name stands in the container's hosts file, which no name server reads.
    if (host === "" || host === HOST_NAME) return proxyLocation(prefix, target);
    const name = `${host}_${port}`;
    upstreams.set(name, `upstream ${name} { zone ${name} 64k; server ${host}:${port} resolve max_fails=0; }`);
    return proxyLocation(prefix, `${scheme}${name}${path}`);
  });
  return { upstreams: ["resolver 127.0.0.11 valid=1s ipv6=off;", ...upstreams.values()], locations };
}

export const nginx = defineKind<Settings>({
  settings: nginxSettings,
  className: "Nginx",
  defaultPort: 8080,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan: (settings, context) => {
    // A target that is switched off, `${name.url?}`, leaves nothing to route to.
    const routes = Object.entries(settings.routes).filter(([, target]) => target !== "");
    return planNginx(
      {
        address: settings.address,
        maxBody: settings.maxBody,
        ...(context.in === "host"
          ? { locations: routes.map(([prefix, target]) => proxyLocation(prefix, target)) }
          : inContainer(routes)),
      },
      context,
    );
  },
});
