import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

const command = new local.Command("secret", {
  create: 'echo "${#PASSWORD}"',
  environment: { PASSWORD: pulumi.secret(process.env["CANARY"] ?? "") },
  stdin: pulumi.secret(process.env["CANARY"] ?? ""),
});

export const length = command.stdout;
