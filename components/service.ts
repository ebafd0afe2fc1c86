import * as pulumi from "@pulumi/pulumi";
import { modelWaitFile } from "#observe/model-wait.ts";
import { ModelFile, urnBelow } from "#providers/resources.ts";
import type { HostContext } from "#runtime/host-plan.ts";
import type { ServicePlan } from "#stack/plan.ts";
import { catalog } from "./catalog.ts";

export interface ServiceArgs {
  readonly plan: ServicePlan;
  readonly context: HostContext;
  /** What must be ready or done before it starts. */
  readonly dependsOn: readonly pulumi.Resource[];
  /** Starts it, below its component; gives what its dependents wait for. */
  readonly make: (
    dependsOn: readonly pulumi.Resource[],
    parent: pulumi.ComponentResource,
    type: string,
  ) => pulumi.Resource;
  /** Size, time and inode of the service's model file as the program saw them. */
  readonly modelStamp: string;
}

/**
 * One service of the stack. Its kind shows in its type, `engineroom:service:<Class>`; all that is peculiar to a kind
 * was decided in its plan.
 */
export class Service extends pulumi.ComponentResource {
  /** What dependents wait for: the proof that the service works, or the end of the job. */
  readonly ready: pulumi.Resource;

  constructor(args: ServiceArgs) {
    const { plan, context } = args;
    const type = `engineroom:service:${catalog[plan.kind]?.className ?? plan.kind}`;
    super(type, plan.name, {});
    const model =
      plan.model &&
      new ModelFile(
        `${plan.name}-model`,
        {
          path: plan.model.path,
          ...(plan.model.sha256 && { sha256: plan.model.sha256 }),
          ...(plan.model.mmproj && { mmproj: plan.model.mmproj }),
          missing: plan.model.missing,
          stableSeconds: plan.model.stableSeconds,
          waitSeconds: plan.model.waitSeconds,
          waitFile: modelWaitFile(context.places, plan.name),
          cacheFile: `${context.host.cacheDir}/model-hashes.json`,
          stamp: args.modelStamp,
          progressUrn: urnBelow(type, "ModelFile", `${plan.name}-model`),
        },
        { parent: this },
      );
    this.ready = args.make([...args.dependsOn, ...(model ? [model] : [])], this, type);
    this.registerOutputs({});
  }
}
