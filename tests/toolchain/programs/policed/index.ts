import { local } from "@pulumi/command";

new local.Command("judged", { create: process.env["STEP"] === "bad" ? "exit 1" : "true" });
