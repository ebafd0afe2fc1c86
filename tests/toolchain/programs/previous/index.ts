import { local } from "@pulumi/command";

const step = process.env["STEP"] ?? "1";
const previous = "[$PULUMI_COMMAND_STDOUT|$PULUMI_COMMAND_STDERR]";
const texts = {
  create: "echo made; echo warned >&2",
  update: `echo "${previous}"`,
  environment: { STEP: step },
};

const handed = new local.Command("handed", { ...texts, delete: `echo "delete ${previous}" >> log` });
const kept = new local.Command("kept", { ...texts, addPreviousOutputInEnv: false });

export const out = { handed: handed.stdout, kept: kept.stdout };
