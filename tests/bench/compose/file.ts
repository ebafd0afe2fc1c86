import type { ContainerSpec } from "#runtime/container-spec.ts";
import type { NetworkPlan, ServicePlan } from "#stack/plan.ts";
import { healthCommand, healthScript } from "./health.ts";

export interface ComposeOptions {
  readonly project: string;
  readonly network: NetworkPlan;
  readonly services: readonly ServicePlan[];
  readonly specs: ReadonlyMap<string, ContainerSpec>;
  /** The image of a service, where it is not the spec's own. */
  readonly images: ReadonlyMap<string, string>;
  /** How often the engine asks; engines before 25 do so in the start period too. */
  readonly interval: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The same containers as ours, as a compose file (JSON is YAML). */
export function composeFile({ project, network, services, labels, ...options }: ComposeOptions): string {
  const volumes = [...options.specs.values()].flatMap((spec) => spec.volumes.map(({ name }) => name));
  const file = {
    name: project,
    networks: {
      default: {
        name: network.name,
        labels,
        ipam: { config: [{ subnet: network.subnet, gateway: network.gateway }] },
      },
    },
    volumes: Object.fromEntries(volumes.map((name) => [name, { name, labels }])),
    services: Object.fromEntries(
      services.map((service) => [service.name, composeService(service, { ...options, services })]),
    ),
  };
  // It would put variables in.
  return JSON.stringify(file, undefined, 1).replaceAll("$", "$$$$");
}

type Shared = Pick<ComposeOptions, "services" | "specs" | "images" | "interval">;

function composeService(service: ServicePlan, { services, specs, images, interval }: Shared): object {
  const spec = specs.get(service.name);
  if (!spec) throw new Error(`${service.name} is no container`);
  const command = service.check && healthCommand(service.check, spec.ports[0]?.internal ?? 0);
  const isJob = (name: string): boolean => services.some((other) => other.name === name && other.run === "job");
  const condition = (name: string) => (isJob(name) ? "service_completed_successfully" : "service_healthy");
  return {
    container_name: spec.name,
    image: images.get(service.name) ?? spec.image,
    pull_policy: "never",
    ...(spec.entrypoint.length > 0 && { entrypoint: spec.entrypoint }),
    ...(spec.command.length > 0 && { command: spec.command }),
    environment: spec.environment,
    labels: spec.labels,
    ...(spec.user && { user: spec.user }),
    ...(spec.workingDir && { working_dir: spec.workingDir }),
    ports: spec.ports.map(({ ip, external, internal }) => ({
      host_ip: ip,
      published: String(external),
      target: internal,
    })),
    volumes: [
      ...spec.volumes.map(({ name, target }) => ({ type: "volume", source: name, target })),
      ...Object.entries({ ...spec.binds, ...(command && { [healthScript.target]: healthScript.source }) }).map(
        ([target, source]) => ({ type: "bind", source, target, read_only: true }),
      ),
      ...(spec.readOnly ? [{ type: "tmpfs", target: "/tmp", tmpfs: { mode: 0o1777 } }] : []),
    ],
    extra_hosts: spec.hosts,
    read_only: spec.readOnly,
    cap_drop: ["ALL"],
    cap_add: spec.capabilities,
    security_opt: ["no-new-privileges:true"],
    mem_limit: `${spec.memoryMiB}m`,
    memswap_limit: `${spec.memoryMiB}m`,
    shm_size: "256m",
    ...(spec.cpus !== undefined && { cpus: spec.cpus }),
    restart: spec.restart === "on-failure" ? "on-failure:5" : spec.restart,
    init: true,
    logging: { driver: "json-file", options: { "max-size": "10m", "max-file": "3" } },
    stop_signal: spec.stopSignal,
    stop_grace_period: `${spec.stopGraceSeconds}s`,
    depends_on: Object.fromEntries(service.needs.map((name) => [name, { condition: condition(name) }])),
    ...(command && {
      healthcheck: { test: command, interval, timeout: "15s", start_period: `${service.readyTimeoutMs}ms` },
    }),
  };
}
