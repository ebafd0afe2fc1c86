import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

// STEP names what takes a minute: the program itself, a command, a dynamic resource.
const step = process.env["STEP"];

const provider: pulumi.dynamic.ResourceProvider = {
  create: async () => {
    const { writeFileSync } = await import("node:fs");
    writeFileSync("started", "");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    return { id: "slow", outs: {} };
  },
};
class Slow extends pulumi.dynamic.Resource {}

const before = new local.Command("before", { create: "true", delete: "echo deleted >> log" });
if (step === "command") {
  new local.Command("slow", { create: "touch started; exec sleep 60" }, { dependsOn: before });
}
if (step === "dynamic") new Slow(provider, "slow", {}, { dependsOn: before });
if (step === "program") {
  writeFileSync("started", "");
  await sleep(60_000);
}
if (step === "deadline") {
  new local.Command("slow", { create: "echo $$ > pid; exec sleep 60" }, { customTimeouts: { create: "1s" } });
}
