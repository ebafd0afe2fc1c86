import * as pulumi from "@pulumi/pulumi";

// The provider's own process loads the implementation, by a path relative to the project.
const provider: pulumi.dynamic.ResourceProvider = {
  create: async (inputs: Inputs) => (await import("./provider.ts")).create(inputs),
  update: async (id: string, olds: Inputs, news: Inputs) => (await import("./provider.ts")).update(id, olds, news),
  delete: async (id: string, olds: Inputs) => (await import("./provider.ts")).remove(id, olds),
};

interface Inputs {
  readonly text: string;
}

class Note extends pulumi.dynamic.Resource {
  declare readonly pid: pulumi.Output<number>;
  declare readonly text: pulumi.Output<string>;

  constructor(name: string, text: pulumi.Input<string>) {
    super(provider, name, { pid: undefined, text });
  }
}

const note = new Note("note", `step ${process.env["STEP"] ?? "1"}`);
const secret = new Note("secret", pulumi.secret(process.env["CANARY"] ?? ""));

export const out = {
  text: note.text,
  other: note.pid.apply((pid) => pid !== process.pid),
  secret: secret.text,
};
