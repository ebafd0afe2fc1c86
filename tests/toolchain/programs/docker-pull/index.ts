import * as docker from "@pulumi/docker";

// STEP is a registry's address.
new docker.RemoteImage("image", { name: `${process.env["STEP"] ?? ""}/image:1` });
