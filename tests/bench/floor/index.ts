import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

// What the engine, the SDK and the plugins cost by themselves: the types that a stack registers, next to empty.

class Ready extends pulumi.CustomResource {
  constructor(name: string, inputs: pulumi.Inputs, opts: pulumi.CustomResourceOptions) {
    super("pulumi-nodejs:dynamic/engineroom:Ready", name, inputs, opts);
  }
}

class Floor extends pulumi.ComponentResource {
  constructor(name: string, dependsOn: pulumi.Resource) {
    super("engineroom:service:Process", name, {});
    const command = new local.Command(`${name}-process`, { create: ":", logging: "none" }, { parent: this, dependsOn });
    const __provider = 'exports.handler = () => ({ create: async () => ({ id: "floor", outs: {} }) });';
    new Ready(`${name}-ready`, { token: command.stdout, __provider }, { parent: this });
    this.registerOutputs({});
  }
}

// As in our own program: without it the floor would be higher.
Error.stackTraceLimit = 0;
const supervisor = new local.Command("supervisor", { create: ":", logging: "none" });
for (let index = 1; index <= Number(process.env["FLOOR_SERVICES"]); index++) new Floor(`sleep-${index}`, supervisor);
