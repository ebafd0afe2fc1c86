import { basename, dirname, join } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

// STEP 1 creates, 2 has another image built.
const step = process.env["STEP"] ?? "1";
/** Nobody else's names: the engine is shared. */
const unique = basename(dirname(process.cwd())).toLowerCase();
const label = { "engineroom.test": process.env["OWNER"] ?? "" };
const labels = Object.entries(label).map(([label, value]) => ({ label, value }));

const net = new docker.Network("net", { name: unique, labels });
const data = new docker.Volume("data", { labels });

const image = new docker.RemoteImage("image", {
  name: `${unique}:${step}`,
  keepLocally: false,
  triggers: { step },
  build: {
    context: join(process.cwd(), "context"),
    // Relative to the context, and outside of it.
    dockerfile: "../Dockerfile",
    buildArgs: { STEP: step },
    secrets: [{ id: "token", src: join(process.cwd(), "token") }],
    buildLogFile: join(process.cwd(), "build.log"),
    label,
  },
});

const common = {
  image: image.imageId,
  labels,
  networkMode: "bridge",
  mounts: [{ type: "volume", target: "/data", source: data.name }],
  destroyGraceSeconds: 1,
};

// Without the package's classes.
class Raw extends pulumi.CustomResource {}
const service = new Raw(
  "docker:index/container:Container",
  "service",
  {
    ...common,
    name: `${unique}-service`,
    command: ["sleep", "600"],
    networksAdvanced: [{ name: net.id, aliases: ["service"] }],
    memory: 32,
    memorySwap: 32,
    readOnly: true,
    init: false,
    capabilities: { drops: ["ALL"] },
    securityOpts: ["no-new-privileges:true"],
    logDriver: "json-file",
    logOpts: { "max-size": "1m" },
  },
  { version: "5.2.0", deleteBeforeReplace: true, replaceOnChanges: ["#initerror"] },
);

// Runs to its end and shows what is in the image.
const job = new docker.Container("job", {
  ...common,
  name: `${unique}-job`,
  command: ["sh", "/report"],
  attach: true,
  logs: true,
  mustRun: false,
});

export const report = job.containerLogs;
export const namedByItself = data.name.apply((name) => /^data-[0-9a-f]{7}$/.test(name));
export const driver = docker.getNetworkOutput({ name: net.name }).driver;
export const sameImage = pulumi
  .all([docker.getRemoteImageOutput({ name: image.name }).id, image.imageId])
  .apply(([found, built]) => found === built);
export const serviceId = service.id.apply((id) => /^[0-9a-f]{64}$/.test(id));
