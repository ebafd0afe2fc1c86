import { existsSync } from "node:fs";
import { dirname } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { LABEL } from "#observe/docker.ts";
import type { World } from "#observe/world.ts";
import { DockerResource } from "#providers/docker.ts";
import type { ImageBuildPlan, NetworkPlan, PlannedVolume, ServicePlan } from "#stack/plan.ts";
import { runPlan } from "./command.ts";
import { imageLog } from "./container-spec.ts";
import { NOT_HERE } from "#stack/drift.ts";
import { driftText } from "./drift.ts";
import type { HostContext } from "./host-plan.ts";

/** What the stack's containers share, and wait for. */
export interface EngineParts {
  /** Id of the network. */
  readonly network: pulumi.Output<string>;
  readonly all: readonly pulumi.Resource[];
  /** What one container waits for. */
  readonly forContainer: (service: ServicePlan) => readonly pulumi.Resource[];
}

/** Makes network, volumes and images; undefined for a stack without containers. */
export function runEngineParts({ plan, context, drift, containerSpecs }: World): EngineParts | undefined {
  const { network } = plan;
  if (!network) return undefined;
  const { places } = plan;
  const labels = { [LABEL.stack]: places.stack, [LABEL.owner]: places.owner, [LABEL.project]: places.projectDir };
  // Sorted: another order of services is no other plan.
  const names = Object.fromEntries([...containerSpecs].map(([service, { name }]) => [service, name] as const).sort());
  const sweep = runSweep(names, context, drift.leftovers);
  const made = runNetwork({ ...network, labels }, context, drift.network);
  tell(`network ${network.name}`, drift.network, made);
  const volumes = new Map(
    [...containerSpecs.values()]
      .flatMap((spec) => spec.volumes.map((volume) => ({ volume, service: spec.service })))
      .map(({ volume, service }) => [
        volume.name,
        runVolume(volume, { ...labels, [LABEL.service]: service }, drift.volumes.get(volume.name)),
      ]),
  );
  const images = new Map(
    plan.imageBuilds.map((build) => [build.key, runImage(build, labels, context.tools, drift.builds.get(build.key))]),
  );
  const forContainer = ({ container }: ServicePlan): readonly pulumi.Resource[] => [
    sweep,
    made,
    ...(container?.volumes ?? []).flatMap(({ name }) => volumes.get(name) ?? []),
    ...(container?.image.from === "build" ? [images.get(container.image.build.key)] : []).filter((image) => !!image),
  ];
  return { network: pulumi.unsecret(made.stdout), all: [sweep, made], forContainer };
}

/** Of what is new nothing is said. */
function tell(what: string, reason: string | undefined, resource: pulumi.Resource): void {
  if (reason !== undefined && reason !== NOT_HERE)
    void pulumi.log.warn(`${what}: ${reason}; up puts it right`, resource);
}

/** The last label, so that its place in the list is known. */
function labelled(labels: Readonly<Record<string, string>>, reason: string | undefined) {
  const all = Object.entries({ ...labels, [LABEL.drift]: driftText(reason) }).map(([label, value]) => ({
    label,
    value,
  }));
  return {
    inputs: { labels: all },
    opts: { ignoreChanges: reason === undefined ? [`labels[${all.length - 1}].value`] : [] },
  };
}

/** By a script of ours: the docker provider sleeps 2 s where it makes a network and where it removes one. */
function runNetwork(
  network: NetworkPlan & { readonly labels: Readonly<Record<string, string>> },
  { tools }: HostContext,
  drift: string | undefined,
) {
  const start = "apply.py network start";
  return runPlan(
    "network",
    {
      scripts: { create: start, update: start, delete: "apply.py network stop" },
      plan: JSON.stringify(network),
      tools,
      drift,
    },
    {
      parent: pulumi.rootStackResource,
      // What stands in it is to go first.
      deleteBeforeReplace: true,
      replaceOnChanges: ["environment.PLAN", "environment.DRIFT"],
    },
  );
}

/** Removes what has our names and our mark and that no state knows; the containers wait for it. */
function runSweep(containers: Readonly<Record<string, string>>, context: HostContext, drift: string | undefined) {
  const { places, host } = context;
  const plan = {
    owner: places.owner,
    containersDir: places.containersDir,
    servicesDir: places.servicesDir,
    stackDir: places.stackDir,
    socket: places.supervisorSocket,
    asRoot: host.asRoot,
    containers,
  };
  return runPlan(
    "containers",
    {
      scripts: { create: "apply.py sweep create", update: "apply.py sweep update", delete: "apply.py sweep stop" },
      plan: JSON.stringify(plan),
      tools: context.tools,
      drift,
    },
    { parent: pulumi.rootStackResource },
  );
}

function runVolume(volume: PlannedVolume, labels: Readonly<Record<string, string>>, reason: string | undefined) {
  const { inputs, opts } = labelled(labels, reason);
  const made = new DockerResource(
    "Volume",
    `volume-${volume.name}`,
    { name: volume.name, ...inputs },
    // Protecting it instead would make `destroy` fail half-way.
    { ...opts, retainOnDelete: volume.kept, deleteBeforeReplace: true },
  );
  tell(`volume ${volume.name}`, reason, made);
  return made;
}

/** Where distributions keep the certificates that a host trusts. */
const CERTIFICATES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

function runImage(
  build: ImageBuildPlan,
  labels: Readonly<Record<string, string>>,
  tools: HostContext["tools"],
  reason: string | undefined,
) {
  const { key, source, dockerfile } = build;
  const context = runPlan(
    `${build.resource}-context`,
    {
      scripts: { create: "build.py" },
      plan: JSON.stringify({ key, kind: "image", source, target: dirname(build.context), dockerfile }),
      tools,
      drift: reason,
    },
    {},
  );
  const certificates = CERTIFICATES.find((path) => existsSync(path));
  const image = new DockerResource(
    "RemoteImage",
    build.resource,
    {
      name: build.reference,
      build: {
        context: build.context,
        dockerfile: "Dockerfile",
        // `labels` is for the legacy builder alone.
        label: labels,
        buildLogFile: imageLog(build),
        ...(certificates !== undefined && { secrets: [{ id: "certificates", src: certificates }] }),
      },
      triggers: { content: key, drift: driftText(reason) },
      // With a tag of its content, the one combination that neither fails nor leaves rubbish.
      keepLocally: false,
    },
    {
      dependsOn: [context],
      ignoreChanges: reason === undefined ? ["triggers.drift"] : [],
      // Made again, it has the name of the one that is gone; to remove that afterwards would meet the new one.
      deleteBeforeReplace: reason !== undefined,
      customTimeouts: { create: "30m" },
    },
  );
  tell(`image ${build.reference}`, reason, image);
  return image;
}
