import { dirname, join } from "node:path";
import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { defineKind, httpOutputs, LOOPBACK, type KindPlan, type PlanContext } from "../kind.ts";
import { planNginx } from "../nginx/plan.ts";
import { frontendSettings } from "./settings.ts";

/** Files with a content hash in their name never change; the page itself is asked for anew each time. */
const locations = (root: string): readonly string[] => [
  `root "${root}";`,
  `location /assets/ { add_header Cache-Control "public, max-age=31536000, immutable"; }`,
  `location / { try_files $uri $uri/ /index.html; add_header Cache-Control "no-cache"; }`,
];

const notPages = (directory: string, { name }: PlanContext): Problem => ({
  code: "BUILD_SOURCE",
  where: `services.${name}.build`,
  expected: "a directory with package.json, whose `build` script writes dist",
  got: `\`${directory}\`, a Python application`,
  fix: "name the directory of the pages, or choose kind `web`",
});

/**
 * Vite's flags, behind which `npm run dev` may have more. Its HMR socket has the page's own address, so it passes
 * through nginx as the page does; Vite answers only to names that it knows.
 */
function devServer(directory: string, { at, listen, port, tool, domains: [domain] }: PlanContext): KindPlan {
  const programs = dirname(tool("node").path);
  return {
    argv: ["npm", "run", "dev", "--", "--host", listen, "--port", String(port), "--strictPort"],
    cwd: directory,
    env: {
      PATH: [[programs, "/usr/local/bin", "/usr/bin", "/bin"].join(":")],
      npm_config_update_notifier: ["false"],
      ...(domain !== undefined && { __VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS: [domain] }),
    },
    tools: ["node"],
    source: {
      path: directory,
      packages: { path: join(directory, "node_modules"), command: `npm install --prefix ${directory}` },
    },
    check: { kind: "http", url: `http://${at.host}:${at.port}/` },
    readyTimeoutMs: 60_000,
  };
}

export const frontend = defineKind<z.output<typeof frontendSettings>>({
  settings: frontendSettings,
  className: "Frontend",
  defaultPort: 3000,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan: ({ build, dev }, context) => {
    if (context.source === "python") return notPages(build, context);
    if (dev && context.directory !== undefined) return devServer(context.directory, context);
    const { in: place, at } = context;
    const root = place === "host" ? `${context.build?.target ?? ""}/dist` : "/app/dist";
    const { container, ...rest } = planNginx(
      { address: LOOPBACK, maxBody: 2 ** 20, locations: locations(root) },
      context,
    );
    return {
      ...rest,
      // The page itself, not only the server.
      check: { kind: "http", url: `http://${at.host}:${at.port}/` },
      // Its image is the server with the pages in it.
      ...(container && { container: { user: container.user ?? "", memoryBytes: container.memoryBytes } }),
    };
  },
});
