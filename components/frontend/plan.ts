import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { defineKind, LOOPBACK, type PlanContext } from "../kind.ts";
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

export const frontend = defineKind<z.output<typeof frontendSettings>>({
  settings: frontendSettings,
  className: "Frontend",
  defaultPort: 3000,
  outputs: (_settings, context) => ({
    host: [LOOPBACK],
    port: [String(context.port)],
    url: [`http://${LOOPBACK}:${context.port}`],
  }),
  plan: ({ build }, context) =>
    context.build?.kind === "python"
      ? notPages(build, context)
      : {
          ...planNginx(
            { address: LOOPBACK, maxBody: 2 ** 20, locations: locations(`${context.build?.target ?? ""}/dist`) },
            context,
          ),
          // The page itself, not only the server.
          check: { kind: "http", url: `http://${LOOPBACK}:${context.port}/` },
        },
});
