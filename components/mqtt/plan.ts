import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import type { Address } from "#stack/plan.ts";
import { defineExternal, defineKind, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { externalMqtt, mqttSettings } from "./settings.ts";

type Settings = z.output<typeof mqttSettings>;

/** Of the image's contract (docs/images.md). */
const IMAGE = { data: "/mosquitto/data", user: "1883:1883" };

const passwordName = (settings: Pick<Settings, "password">, context: PlanContext): string =>
  settings.password ?? `${context.name}.password`;

function outputs(settings: Settings, context: PlanContext, { host, port }: Address): Readonly<Record<string, Text>> {
  const secret = passwordName(settings, context);
  const { user, webSocketPort } = settings;
  return {
    host: [host],
    port: [String(port)],
    user: [user],
    password: [hole(secret)],
    url: [`mqtt://${user}:`, hole(secret, "url"), `@${host}:${port}`],
    ...(webSocketPort !== undefined && {
      webSocketPort: [String(webSocketPort)],
      webSocketUrl: [`ws://${host}:${webSocketPort}`],
    }),
  };
}

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const secret = passwordName(settings, context);
  const { user } = settings;
  const { home } = context;
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : IMAGE.data;
  // It wants its passwords in a file of its own, which nobody else may read; a container's files are not.
  const passwords = onHost ? `${home}/passwords` : "/tmp/passwords";
  const start = `umask 077; cp ${home}/passwords ${passwords}; exec mosquitto -c ${home}/mosquitto.conf`;
  return {
    argv: onHost ? [context.tool("mqtt").path, "-c", `${home}/mosquitto.conf`] : ["/bin/sh", "-c", start],
    files: [
      { path: "mosquitto.conf", mode: "0600", content: [conf(settings, context, { data, passwords })] },
      { path: "passwords", mode: "0600", content: [`${user}:`, hole(secret, "mosquitto"), "\n"] },
      { path: "password", mode: "0600", content: [hole(secret)] },
    ],
    directories: [data],
    tools: ["mqtt"],
    check: { kind: "mqtt", ...context.at, user, passwordFile: `${context.hostHome}/password` },
    readyTimeoutMs: 30_000,
    generates: settings.password ? [] : [secret],
    container: { image: "mqtt", user: IMAGE.user, volume: IMAGE.data, memoryBytes: 128 * MIB },
  };
}

/** Retained messages, and what absent clients wait for, survive a restart; a crash costs at most the last minute. */
function conf(
  { webSocketPort }: Omit<Settings, "env">,
  { listen, port }: PlanContext,
  paths: { readonly data: string; readonly passwords: string },
): string {
  return `listener ${port} ${listen}
${webSocketPort === undefined ? "" : webSocketListener(webSocketPort, listen)}allow_anonymous false
password_file ${paths.passwords}
persistence true
persistence_location ${paths.data}/
autosave_interval 60
log_dest stderr
`;
}

/** Without the domain it would listen on every address, whatever stands beside the port. */
const webSocketListener = (port: number, listen: string): string => `listener ${port} ${listen}
protocol websockets
socket_domain ipv4
`;

export const mqtt = defineKind<Settings>({
  settings: mqttSettings,
  className: "Mqtt",
  defaultPort: 1883,
  morePorts: ({ webSocketPort }) =>
    webSocketPort === undefined ? [] : [{ key: "webSocketPort", port: webSocketPort, inside: webSocketPort }],
  outputs,
  plan,
  external: defineExternal({
    settings: externalMqtt,
    plan: ({ user, password }, { at, hostHome }) => ({
      check: { kind: "mqtt", ...at, user, passwordFile: `${hostHome}/password` },
      files: [{ path: "password", mode: "0600", content: [hole(password)] }],
    }),
  }),
});
