const pulumi = require("@pulumi/pulumi");
const { local } = require("@pulumi/command");

const provider = { create: async (inputs) => ({ id: "plain", outs: { doubled: inputs.number * 2 } }) };

class Doubled extends pulumi.dynamic.Resource {
  constructor(name, number) {
    super(provider, name, { number, doubled: undefined });
  }
}

exports.doubled = new Doubled("doubled", 21).doubled;
exports.greeting = new local.Command("greeting", { create: "echo hello" }).stdout;
