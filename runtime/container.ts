import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { GpuRequest } from "#checks/gpu.ts";
import { LABEL } from "#observe/docker.ts";
import { DockerResource } from "#providers/docker.ts";
import { specHash, workHash, type ContainerSpec } from "./container-spec.ts";
import { driftText } from "./drift.ts";
import { writeFiles } from "./files.ts";
import type { MakerArgs } from "./process.ts";
import { proveService } from "./proof.ts";

export interface ContainerArgs extends MakerArgs {
  readonly spec: ContainerSpec;
  /** Id of the stack's network. */
  readonly network: pulumi.Output<string>;
  /** How it is given its cards; undefined where it has none. */
  readonly gpu: GpuRequest | undefined;
}

/** Starts a service, or runs a job, in a container; returns what its dependents wait for. The one maker of containers. */
export function runContainer(
  args: ContainerArgs,
  parent: pulumi.ComponentResource,
  componentType: string,
): pulumi.Resource {
  const { plan, spec, context } = args;
  const files = spec.files && writeFiles(spec.files, args, parent);
  const container = makeContainer(args, files, parent);
  const where = {
    token: container.id,
    container: {
      home: `${context.places.containersDir}/${plan.name}`,
      spec: specHash(spec),
      ...(spec.volumes[0] && { volume: spec.volumes[0].name }),
      ...(spec.job && { job: { ...spec.job, plan: workHash(spec) } }),
    },
  };
  return proveService(args, where, parent, componentType);
}

/** The last label, so that its place in the list is known whatever else there is. */
function labelsOf({ labels, files: plan }: ContainerSpec, files: local.Command | undefined, drift: string | undefined) {
  const all: { label: string; value: pulumi.Input<string> }[] = [
    ...Object.entries(labels).map(([label, value]) => ({ label, value })),
    // Changed files are another container, unless it takes them itself: what it read at its start is what it runs with.
    ...(files && !plan?.reload ? [{ label: "engineroom.files", value: pulumi.unsecret(files.stdout) }] : []),
  ];
  return {
    labels: [...all, { label: LABEL.drift, value: driftText(drift) }],
    ignoreChanges: drift === undefined ? [`labels[${all.length}].value`] : [],
  };
}

/** As the provider reads it back: another spelling of the same number shows as a change for ever. */
export function cpusText(cpus: number): string {
  const text = cpus.toFixed(9).replace(/0+$/, "");
  return /^[1-9]+\.$/.test(text) ? `${text}0` : text;
}

/** Changes of these only show in the state: the provider would not carry them out, or not all. */
const REPLACING = ["#initerror", "healthcheck", "tmpfs", "init", "cpuPeriod", "cpuQuota", "rm"];

function makeContainer(
  { plan, spec, drift, dependsOn, network, gpu }: ContainerArgs,
  files: local.Command | undefined,
  parent: pulumi.Resource,
) {
  const { labels, ignoreChanges } = labelsOf(spec, files, drift);
  return new DockerResource(
    "Container",
    `${plan.name}-container`,
    {
      name: spec.name,
      image: spec.image,
      ...(spec.entrypoint.length > 0 && { entrypoints: [...spec.entrypoint] }),
      // Where there is none the provider reads the image's own, and would call that a change.
      ...(spec.command.length > 0 && { command: [...spec.command] }),
      envs: [...spec.environment],
      labels,
      ...(spec.user && { user: spec.user }),
      ...(spec.workingDir && { workingDir: spec.workingDir }),
      hosts: Object.entries(spec.hosts).map(([host, ip]) => ({ host, ip })),
      // Left out, it shows as a change for ever.
      networkMode: "bridge",
      networksAdvanced: [{ name: network, aliases: [spec.service] }],
      ports: spec.ports.map((port) => ({ ...port, protocol: "tcp" })),
      volumes: spec.volumes.map(({ name, target }) => ({ volumeName: name, containerPath: target })),
      mounts: [
        ...Object.entries(spec.binds).map(([target, source]) => ({ type: "bind", target, source, readOnly: true })),
        // Without anything to write to, hardly a program starts.
        ...(spec.readOnly ? [{ type: "tmpfs", target: "/tmp", tmpfsOptions: { mode: 0o1777 } }] : []),
      ],
      readOnly: spec.readOnly,
      capabilities: { drops: ["ALL"], adds: [...spec.capabilities] },
      securityOpts: ["no-new-privileges:true"],
      memory: spec.memoryMiB,
      // Another value than that of `memory` lets it swap, and left out it shows as a change.
      memorySwap: spec.memoryMiB,
      // Postgres shares its workers' memory there; the engine's default of 64 MiB is too small for that.
      shmSize: 256,
      ...(spec.cpus !== undefined && { cpus: cpusText(spec.cpus) }),
      ...(gpu && { deviceRequests: [{ ...gpu }] }),
      restart: spec.restart,
      ...(spec.restart === "on-failure" && { maxRetryCount: 5 }),
      init: true,
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      stopSignal: spec.stopSignal,
      stopTimeout: spec.stopGraceSeconds,
      // Left out it is 0: killed at once.
      destroyGraceSeconds: spec.stopGraceSeconds,
      // Whether it runs, and why it does not, is Ready's finding, with the end of its log.
      mustRun: false,
      wait: false,
    },
    {
      parent,
      dependsOn: [...dependsOn, ...(files ? [files] : [])],
      ignoreChanges,
      deleteBeforeReplace: true,
      replaceOnChanges: REPLACING,
    },
  );
}
