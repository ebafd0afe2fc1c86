import * as pulumi from "@pulumi/pulumi";

/** Modules of this folder that carry out a dynamic resource. */
type Implementation = "ready" | "model-file" | "ollama-model" | "generated-secret";

/**
 * The text that stands in the state and runs in the provider's process: a constant that names a module. What it names
 * is a public name, because the text of older states still imports it. No `diff`: the engine compares the inputs.
 */
const providerText = (module: Implementation): string => `exports.handler = () => ({
  create: async (inputs) => (await import(process.cwd() + "/providers/${module}.ts")).create(inputs),
  update: async (id, olds, inputs) => (await import(process.cwd() + "/providers/${module}.ts")).update(id, olds, inputs),
  delete: async (id, olds) => (await import(process.cwd() + "/providers/${module}.ts")).delete?.(id, olds),
});`;

interface Dynamic {
  readonly module: Implementation;
  readonly type: string;
}

/**
 * A dynamic resource of Pulumi, registered without its serialiser: the same resource and the same process carry it
 * out, and a program with 60 of them starts a third of a second earlier (docs/decisions/0002-dynamic-resources.md).
 */
export abstract class DynamicResource extends pulumi.CustomResource {
  protected constructor(
    { module, type }: Dynamic,
    name: string,
    inputs: pulumi.Inputs,
    opts: pulumi.CustomResourceOptions,
  ) {
    super(`pulumi-nodejs:dynamic/engineroom:${type}`, name, { ...inputs, __provider: providerText(module) }, opts);
  }
}
