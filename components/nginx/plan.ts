import type { z } from "zod";
import { HOST_NAME } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
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
  readonly domain?: string;
}

/** How an nginx is started with a configuration, and takes another one while it runs. */
export function nginxRun({
  program,
  prefix,
  home,
  conf,
}: Readonly<Record<"program" | "prefix" | "home" | "conf", string>>) {
  const argv = (...options: readonly string[]) => [
    program,
    ...["-p", `${prefix}/`, ...options, "-e", "stderr", "-g", "daemon off;"],
  ];
  const file = "nginx.conf";
  return {
    argv: argv("-c", `${home}/${file}`),
    files: [{ path: file, mode: "0600", content: [conf] }],
    reload: { file, test: argv("-t", "-q", "-c", `${home}/${file}.new`) },
  };
}

/** The plan of one nginx that serves `server`; also used for built pages. */
export function planNginx(server: Server, context: PlanContext): KindPlan {
  const onHost = context.in === "host";
  const { home } = context;
  // Where its temporary files go, relative ones of the configuration too: in a container all else is read-only.
  const prefix = onHost ? home : "/tmp";
  return {
    ...nginxRun({
      program: onHost ? context.tool("nginx").path : "nginx",
      prefix,
      home,
      conf: nginxConf(server, context),
    }),
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
worker_shutdown_timeout 10m;
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
    listen ${onHost ? server.address : context.listen}:${context.port};${
      server.domain === undefined
        ? ""
        : `
    server_name ${server.domain};`
    }
    location = ${IDENTITY.path} { access_log off; add_header ${IDENTITY.header} "${context.places.owner}"; return 204; }
${server.locations.map((location) => `    ${location}`).join("\n")}
  }
}
`;
}

/** Buffering is off, so that a token stream arrives token by token; the long timeout is between two reads. */
function proxyLocation(prefix: string, target: string, hasBackup = false): string {
  const another = `
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_next_upstream_tries 2;`;
  return `location ${prefix} {
      proxy_pass ${target};${hasBackup ? another : ""}
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

const TARGET = /^(?:http|ws)(s?):\/\/([a-z0-9][a-z0-9.-]*):(\d+)(\/.*)?$/;

interface Target {
  readonly scheme: string;
  readonly host: string;
  readonly port: string;
  /** Takes the place of the prefix, where there is one. */
  readonly path: string;
}

function targetOf(text: string): Target | undefined {
  const [match, secure = "", host = "", port = "", path = ""] = TARGET.exec(text) ?? [];
  return match === undefined ? undefined : { scheme: `http${secure}://`, host, port, path };
}

/** What one route leads to, in the order in which it is tried. */
interface Route {
  readonly prefix: string;
  readonly targets: readonly string[];
}

/** A target that is switched off, `${name.url?}`, leaves nothing to route to. */
const routesOf = (routes: Settings["routes"]): readonly Route[] =>
  Object.entries(routes)
    .map(([prefix, route]) => {
      const targets = typeof route === "string" ? [route] : [route.to, route.backup];
      return { prefix, targets: targets.filter((target) => target !== "") };
    })
    .filter(({ targets }) => targets.length > 0);

/**
 * On the host one target is named where it is. Two are an upstream; in a container each one is: its name has no address
 * while the other container is down, and another one after each replacement. nginx would not start without it, or keep
 * asking the old one, so the engine's own name server is asked while nginx runs.
 */
function proxied(routes: readonly Route[], context: PlanContext): Pick<Server, "upstreams" | "locations"> | Problem {
  const upstreams = new Map<string, string>();
  const locations: string[] = [];
  for (const { prefix, targets } of routes) {
    const parsed = targets.map(targetOf);
    const found = parsed.filter((target) => target !== undefined);
    const [first] = found;
    const alike = found.length === targets.length && found.every((target) => isLike(target, first));
    if (targets.length > 1 && !alike) return notAlike(prefix, targets, context);
    if (!first || (found.length === 1 && (context.in === "host" || first.host === HOST_NAME))) {
      locations.push(proxyLocation(prefix, first ? urlOf(first, `${first.host}:${first.port}`) : (targets[0] ?? "")));
      continue;
    }
    const name = found.map(({ host, port }) => `${host}_${port}`).join("_or_");
    upstreams.set(name, upstream(name, found, context));
    locations.push(proxyLocation(prefix, urlOf(first, name), found.length > 1));
  }
  const resolver = context.in === "host" ? [] : ["resolver 127.0.0.11 valid=1s ipv6=off;"];
  return { upstreams: [...resolver, ...upstreams.values()], locations };
}

const urlOf = ({ scheme, path }: Target, place: string): string => `${scheme}${place}${path}`;

const isLike = (one: Target, other: Target | undefined): boolean =>
  one.scheme === other?.scheme && one.path === other.path;

const notAlike = (prefix: string, targets: readonly string[], { name }: PlanContext): Problem => ({
  code: "ROUTE_BACKUP",
  where: `services.${name}.routes.${prefix}.backup`,
  expected: "a URL with a port that differs from that of `to` in host and port alone",
  got: targets.map((target) => `\`${target}\``).join(" for "),
  fix: "write both as `${name.url}`",
});

/** One alone is always asked, so that it works again with its first answer; so is the last resort of two. */
function upstream(name: string, targets: readonly Target[], { in: place }: PlanContext): string {
  const servers = targets.map(({ host, port }, index) => {
    const resolve = place === "container" && host !== HOST_NAME ? " resolve" : "";
    const first = targets.length === 1 ? "max_fails=0" : "max_fails=1 fail_timeout=1s";
    return `server ${host}:${port}${resolve} ${index === 0 ? first : "max_fails=0 backup"};`;
  });
  return `upstream ${name} { zone ${name} 64k; ${servers.join(" ")} }`;
}

export const nginx = defineKind<Settings>({
  settings: nginxSettings,
  className: "Nginx",
  defaultPort: 8080,
  outputs: ({ domain }, _context, at) => ({
    ...httpOutputs(at),
    ...(domain !== undefined && {
      domain: [domain],
      domainUrl: [`http://${domain}${at.port === 80 ? "" : `:${at.port}`}`],
    }),
  }),
  plan: (settings, context) => {
    const routes = proxied(routesOf(settings.routes), context);
    if ("code" in routes) return routes;
    const { address, maxBody, domain } = settings;
    return planNginx({ address, maxBody, ...(domain !== undefined && { domain }), ...routes }, context);
  },
});
