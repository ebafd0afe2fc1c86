import { basename, dirname, join } from "node:path";
import * as docker from "@pulumi/docker";

const owner = process.env["OWNER"] ?? "";

// STEP is the Dockerfile's name.
new docker.RemoteImage("image", {
  name: `${basename(dirname(process.cwd())).toLowerCase()}:1`,
  build: {
    context: join(process.cwd(), "context"),
    dockerfile: join(process.cwd(), process.env["STEP"] ?? ""),
    buildLogFile: join(process.cwd(), "build.log"),
    buildArgs: { OWNER: owner },
    label: { "engineroom.test": owner },
  },
});
