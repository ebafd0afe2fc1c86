import * as pulumi from "@pulumi/pulumi";
import type { Check } from "#checks/check.ts";
import type { Address } from "#stack/plan.ts";
import { DynamicResource } from "./dynamic.ts";

/** What Ready waits for. All of it is plain: it stands in the state. */
export type ReadyInputs = (OnHost | InContainer | Elsewhere) & {
  readonly service: string;
  /** False: a failure is a warning. */
  readonly required: boolean;
  readonly timeoutMs: number;
  /** Changes whenever the service was started anew; what it waits for is then proven again. A container's is its id. */
  readonly token: string;
  /** When each of its models was brought: one that was brought again is proven again. */
  readonly models?: readonly string[];
  /** Its own URN, where its progress is shown; `urn` itself is reserved. */
  readonly progressUrn: string;
};

interface OnHost {
  readonly check: Check;
  /** supervisord's socket, which knows whether the program still runs. */
  readonly socket: string;
  /** The service's own directory, with its start records. */
  readonly home: string;
  readonly logFile: string;
}

interface InContainer {
  /** Absent: a job, which is to end well. */
  readonly check?: Check;
  readonly container: {
    /** Where it is noted what was proven. */
    readonly home: string;
    /** Hash of all that the container was made from: a change of its limits leaves its id. */
    readonly spec: string;
    /** The volume with its data. */
    readonly volume?: string;
    readonly job?: {
      /** Hash of what runs. */
      readonly plan: string;
      readonly doneFile: string;
      /** Files with the ids of the data that it works on, by service. */
      readonly data: Readonly<Record<string, string>>;
    };
  };
}

interface Elsewhere {
  readonly check: Check;
  readonly external: Address;
  /** What was seen to be wrong with it, so that it is asked again. */
  readonly drift: string;
}

type Keys<Union> = Union extends unknown ? keyof Union : never;

/** Done when a service has proven that it works. */
export class Ready extends DynamicResource {
  constructor(
    name: string,
    inputs: pulumi.Inputs & Partial<Record<Keys<ReadyInputs>, unknown>>,
    opts: pulumi.CustomResourceOptions,
  ) {
    super({ module: "ready", type: "Ready" }, name, { ...inputs, detail: undefined }, opts);
  }
}

export interface ModelFileInputs {
  readonly path: string;
  readonly sha256?: string;
  readonly mmproj?: string;
  readonly missing: "fail" | "wait";
  readonly stableSeconds: number;
  /** How long it is waited for, when it is not there or not whole. Default: an hour. */
  readonly waitSeconds?: number;
  /** Where it is noted meanwhile that a service waits for it. */
  readonly waitFile?: string;
  readonly cacheFile: string;
  /** Size, time and inode as the program saw them, so that a replaced file is proven again; empty where it was not there. */
  readonly stamp: string;
  readonly progressUrn: string;
}

/** Done when a model file is whole, at rest, and has the declared content. */
export class ModelFile extends DynamicResource {
  constructor(name: string, inputs: ModelFileInputs, opts: pulumi.CustomResourceOptions) {
    super({ module: "model-file", type: "ModelFile" }, name, { ...inputs, detail: undefined }, opts);
  }
}

/** What an Ollama server is to have. */
export interface OllamaModelInputs {
  /** The proof that the server answers, which is waited for first. */
  readonly server: ReadyInputs;
  readonly url: string;
  readonly model: OllamaModelSpec;
  /** False: it goes when its resource does. */
  readonly kept: boolean;
  /** Where hashes of model files are remembered. */
  readonly cacheFile: string;
  /** As of {@link ModelFileInputs}; empty for a model that is pulled. */
  readonly stamp: string;
  /** Why it must be brought again. */
  readonly drift: string;
}

export interface OllamaModelSpec {
  /** With its tag. */
  readonly name: string;
  /** Absent: it is pulled. */
  readonly file?: Pick<ModelFileInputs, "path" | "sha256" | "mmproj" | "missing" | "stableSeconds" | "waitSeconds">;
  readonly template?: string;
  readonly system?: string;
}

/** Done when a running Ollama has a model. */
export class OllamaModel extends DynamicResource {
  /** When it was brought, or found to be there. */
  declare readonly madeAt: pulumi.Output<string>;

  constructor(
    name: string,
    inputs: Readonly<Record<keyof OllamaModelInputs, unknown>>,
    opts: pulumi.CustomResourceOptions,
  ) {
    const outputs = { digest: undefined, madeAt: undefined };
    super({ module: "ollama-model", type: "OllamaModel" }, name, { ...inputs, ...outputs }, opts);
  }
}

/** A random secret, made once and kept, encrypted, in the state. */
export class GeneratedSecret extends DynamicResource {
  declare readonly value: pulumi.Output<string>;

  constructor(name: string, inputs: { readonly bytes: pulumi.Input<number> }, opts: pulumi.CustomResourceOptions) {
    super(
      { module: "generated-secret", type: "GeneratedSecret" },
      name,
      { ...inputs, value: undefined },
      {
        ...opts,
        additionalSecretOutputs: ["value"],
      },
    );
  }
}

/** URN of a dynamic resource below a component of ours: nobody tells a resource its own name. */
export const urnBelow = (componentType: string, type: string, name: string): string =>
  `urn:pulumi:${pulumi.getStack()}::${pulumi.getProject()}::${componentType}$pulumi-nodejs:dynamic/engineroom:${type}::${name}`;
