import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { LABEL } from "#observe/docker.ts";
import { defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { alloySettings } from "./settings.ts";

type Settings = z.output<typeof alloySettings>;

/** Of the official image: a new volume has the rights of the directory that it is mounted on, and here anybody may write. */
const IMAGE = { data: "/var/tmp", program: "/bin/alloy" };
const LOGS = "/logs";
const SOCKET = "/var/run/docker.sock";

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const { home, at, listen, port, places } = context;
  const ofHost = settings.logs === "host";
  if (ofHost && !context.uses.some((service) => service.in === "host")) return noHostService(context);
  return {
    argv: [
      ...[IMAGE.program, "run", `--server.http.listen-addr=${listen}:${port}`],
      ...[`--storage.path=${IMAGE.data}/alloy`, "--disable-reporting", `${home}/config.alloy`],
    ],
    files: [{ path: "config.alloy", mode: "0600", content: [config(settings, context)] }],
    check: { kind: "http", url: `http://${at.host}:${at.port}/-/ready` },
    readyTimeoutMs: 60_000,
    container: {
      image: "alloy",
      // Who owns the logs; root owns the socket, and needs no capability for that.
      user: ofHost ? context.accountIds : "0:0",
      volume: IMAGE.data,
      mounts: ofHost ? { [LOGS]: places.logsDir } : { [SOCKET]: SOCKET },
      memoryBytes: 256 * MIB,
    },
  };
}

/** The directory of the logs comes with the first service of the host. */
const noHostService = ({ name }: PlanContext): Problem => ({
  code: "ALLOY_WITHOUT_HOST",
  where: `services.${name}.needs`,
  expected: "a service on the host that it waits for, because its logs are read",
  got: "none",
  fix: `name one in services.${name}.needs, or set services.${name}.logs to containers`,
});

const text = (value: string): string => JSON.stringify(value);

function config({ loki, logs }: Omit<Settings, "env">, { places }: PlanContext): string {
  const endpoint = `loki.write "loki" {
  endpoint { url = ${text(`${loki.replace(/\/+$/, "")}/loki/api/v1/push`)} }
  external_labels = { stack = ${text(places.stack)} }
}
`;
  return endpoint + (logs === "host" ? HOST : ofContainers(places.owner));
}

const HOST = `local.file_match "logs" {
  path_targets = [{ __path__ = "${LOGS}/*.log" }]
}
discovery.relabel "logs" {
  targets = local.file_match.logs.targets
  rule {
    source_labels = ["__path__"]
    regex = "${LOGS}/(.+)\\\\.log"
    target_label = "service"
  }
}
loki.source.file "logs" {
  targets = discovery.relabel.logs.output
  forward_to = [loki.write.loki.receiver]
}
`;

const ofContainers = (owner: string): string => `discovery.docker "stack" {
  host = "unix://${SOCKET}"
  filter {
    name = "label"
    values = [${text(`${LABEL.owner}=${owner}`)}]
  }
}
discovery.relabel "stack" {
  targets = discovery.docker.stack.targets
  rule {
    source_labels = ["__meta_docker_container_label_engineroom_service"]
    target_label = "service"
  }
}
loki.source.docker "stack" {
  host = "unix://${SOCKET}"
  targets = discovery.relabel.stack.output
  forward_to = [loki.write.loki.receiver]
}
`;

export const alloy = defineKind<Settings>({
  settings: alloySettings,
  className: "Alloy",
  defaultPort: 12345,
  imageOnly: true,
  outputs: (_settings, _context, at) => httpOutputs(at),
  plan,
});
