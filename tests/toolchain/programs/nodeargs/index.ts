import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();

export const out = {
  arguments: process.execArgv,
  title: process.title,
  stack: pulumi.getStack(),
  project: pulumi.getProject(),
  organization: pulumi.getOrganization(),
  plain: config.get("plain"),
};
export const secret = config.getSecret("secret");
console.log("on stdout");
console.error("on stderr");
