import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

/** The npm package asks for a plugin of exactly its own version. */
export const DOCKER_VERSION = "5.2.0";

/** Resources of the docker provider that we use, with the inputs that the package types. */
interface Inputs {
  readonly Container: docker.ContainerArgs;
  readonly Network: docker.NetworkArgs;
  readonly RemoteImage: docker.RemoteImageArgs;
  readonly Volume: docker.VolumeArgs;
}

/**
 * A resource of the docker provider, registered without the package's class: that makes a promise, with a stack trace,
 * for each of the 90 properties of a container (docs/decisions/0007-docker-resources.md).
 * What the provider gives back beyond the inputs is to be named in `outputs`.
 */
export class DockerResource<Type extends keyof Inputs, Output extends string = never> extends pulumi.CustomResource {
  constructor(
    type: Type,
    name: string,
    inputs: Inputs[Type],
    opts: pulumi.CustomResourceOptions,
    outputs: readonly Output[] = [],
  ) {
    const token = `docker:index/${type.charAt(0).toLowerCase()}${type.slice(1)}:${type}`;
    const wanted = Object.fromEntries(outputs.map((output) => [output, undefined]));
    super(token, name, { ...wanted, ...inputs }, { version: DOCKER_VERSION, ...opts });
  }

  output(name: Output): pulumi.Output<string> {
    return (this as unknown as Record<Output, pulumi.Output<string>>)[name];
  }
}
