import { local } from "@pulumi/command";

const step = process.env["STEP"] ?? "1";
const texts = (name: string) => ({
  create: `echo "create ${name}" >> log-${name}; cat log-${name}`,
  update: `echo "update ${name}" >> log-${name}`,
  delete: `echo "delete ${name}" >> log-${name}`,
  triggers: [step],
});

new local.Command("new-first", texts("new-first"));
new local.Command("old-first", texts("old-first"), { deleteBeforeReplace: true });
