import { remote } from "@pulumi/command";

new remote.Command("elsewhere", { connection: { host: "127.0.0.1" }, create: "true" });
