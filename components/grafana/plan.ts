import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import { defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { grafanaSettings } from "./settings.ts";

type Settings = z.output<typeof grafanaSettings>;

const USER = "admin";

/** Of the official image. */
const IMAGE = { data: "/var/lib/grafana", user: "472:0", provisioning: "/etc/grafana/provisioning" };

const passwordName = (settings: Pick<Settings, "password">, context: PlanContext): string =>
  settings.password ?? `${context.name}.password`;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const secret = passwordName(settings, context);
  const { home, at } = context;
  // A source that is switched off, `${name.url?}`, leaves nothing to ask.
  const datasources = Object.entries(settings.datasources)
    .filter(([, { url }]) => url !== "")
    .map(([name, { type, url }]) => ({ name, type, url, access: "proxy" }));
  return {
    argv: ["grafana", "server", "--homepath=/usr/share/grafana", `--config=${home}/grafana.ini`],
    files: [
      { path: "grafana.ini", mode: "0600", content: [ini(context)] },
      { path: "password", mode: "0600", content: [hole(secret)] },
      {
        path: "datasources.yaml",
        mode: "0600",
        content: [`${JSON.stringify({ apiVersion: 1, datasources }, null, 2)}\n`],
        mountAt: `${IMAGE.provisioning}/datasources/engineroom.yaml`,
      },
    ],
    check: { kind: "http", url: `http://${at.host}:${at.port}/api/health`, json: { database: "ok" } },
    readyTimeoutMs: 120_000,
    generates: settings.password ? [] : [secret],
    container: { image: "grafana", user: IMAGE.user, volume: IMAGE.data, memoryBytes: 512 * MIB },
  };
}

const ini = ({ home, listen, port }: PlanContext): string => `[paths]
data = ${IMAGE.data}
logs = ${IMAGE.data}/log
plugins = ${IMAGE.data}/plugins
provisioning = ${IMAGE.provisioning}
[server]
http_addr = ${listen}
http_port = ${port}
[security]
admin_user = ${USER}
admin_password = $__file{${home}/password}
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
`;

export const grafana = defineKind<Settings>({
  settings: grafanaSettings,
  className: "Grafana",
  defaultPort: 3000,
  imageOnly: true,
  outputs: (settings, context, at): Readonly<Record<string, Text>> => ({
    ...httpOutputs(at),
    user: [USER],
    password: [hole(passwordName(settings, context))],
  }),
  plan,
});
