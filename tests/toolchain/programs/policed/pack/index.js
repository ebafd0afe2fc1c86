import { PolicyPack, validateResourceOfType } from "@pulumi/policy";
import { local } from "@pulumi/command";

// The version comes from package.json beside this file: the pack must run in its own directory.
new PolicyPack("conformance", {
  policies: [
    {
      name: "no-exit",
      description: "A command may not only exit.",
      enforcementLevel: "mandatory",
      validateResource: validateResourceOfType(local.Command, (command, _args, report) => {
        if (command.create?.startsWith("exit")) report(`${process.env.PULUMI_NODEJS_STACK} has a bad command`);
      }),
    },
  ],
});
