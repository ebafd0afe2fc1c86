import * as pulumi from "@pulumi/pulumi";
import { filesDir } from "#stack/containers.ts";
import { driftText } from "./drift.ts";
import { writeFiles } from "./files.ts";
import type { MakerArgs } from "./process.ts";
import { proveService } from "./proof.ts";

/** Starts nothing: asks a service that somebody else runs; returns what its dependents wait for. */
export function runExternal(args: MakerArgs, parent: pulumi.ComponentResource, componentType: string): pulumi.Resource {
  const { plan, context, drift } = args;
  const { name, files } = plan;
  const home = `${context.places.containersDir}/${name}`;
  const directory = filesDir(context.places, name);
  const written =
    files.length === 0 ? undefined : writeFiles({ service: name, home, directory, files, env: {} }, args, parent);
  const where = {
    token: written ? pulumi.unsecret(written.stdout) : "",
    external: plan.external,
    drift: driftText(drift),
  };
  return proveService(args, where, parent, componentType, drift === undefined ? ["drift"] : []);
}
