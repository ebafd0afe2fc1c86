import type * as pulumi from "@pulumi/pulumi";
import { fileStamp } from "#observe/model-wait.ts";
import { OllamaModel, Ready, urnBelow } from "#providers/resources.ts";
import type { ModelPlan } from "#stack/plan.ts";
import { driftText } from "./drift.ts";
import type { MakerArgs } from "./process.ts";

/**
 * The proof that a service works, which its dependents wait for.
 *
 * @param where how it is known whether its program runs, and that it was started anew.
 */
export function proveService(
  args: Pick<MakerArgs, "plan" | "context" | "modelDrift" | "dependsOn">,
  where: pulumi.Inputs,
  parent: pulumi.ComponentResource,
  componentType: string,
  ignoreChanges: readonly string[] = [],
): Ready {
  const { plan, dependsOn } = args;
  const name = `${plan.name}-ready`;
  const inputs = {
    service: plan.name,
    required: plan.required,
    ...(plan.check && { check: plan.check }),
    timeoutMs: plan.readyTimeoutMs,
    ...where,
  };
  const models = bringModels(args, inputs, parent, componentType);
  return new Ready(
    name,
    {
      ...inputs,
      ...(models.length > 0 && { models: models.map(({ madeAt }) => madeAt) }),
      progressUrn: urnBelow(componentType, "Ready", name),
    },
    { parent, dependsOn: [...dependsOn], ignoreChanges: [...ignoreChanges] },
  );
}

/** Brings the models that a server is given while it runs, once it answers. */
function bringModels(
  { plan, context, modelDrift }: Pick<MakerArgs, "plan" | "context" | "modelDrift">,
  server: pulumi.Inputs,
  parent: pulumi.ComponentResource,
  componentType: string,
): readonly OllamaModel[] {
  const { check, serves = [] } = plan;
  if (check?.kind !== "ollama") return [];
  return serves.map(({ file, ...model }) => {
    const name = `${plan.name}-model-${model.name}`;
    const drift = modelDrift.get(model.name);
    return new OllamaModel(
      name,
      {
        server: {
          ...server,
          check: { ...check, models: [] },
          progressUrn: urnBelow(componentType, "OllamaModel", name),
        },
        url: check.url,
        model: { ...model, ...(file && { file: fileOf(file) }) },
        // What stands in for a model that is pulled bears its name, by which that one would count as there.
        kept: plan.dataKept && file?.standsInFor !== model.name,
        cacheFile: `${context.host.cacheDir}/model-hashes.json`,
        stamp: file ? fileStamp(file.path) : "",
        drift: driftText(drift),
      },
      { parent, ignoreChanges: drift === undefined ? ["drift"] : [] },
    );
  });
}

const fileOf = ({ path, sha256, mmproj, missing, stableSeconds, waitSeconds }: ModelPlan) => ({
  path,
  ...(sha256 && { sha256 }),
  ...(mmproj && { mmproj }),
  missing,
  stableSeconds,
  waitSeconds,
});
