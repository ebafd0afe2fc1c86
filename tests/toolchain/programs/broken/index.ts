import * as pulumi from "@pulumi/pulumi";

// Every way in which a program may end badly.
const step = process.env["STEP"];
if (step === "run-error") throw new pulumi.RunError("words for people");
if (step === "error") throw new Error("words for programmers");
if (step === "exit") process.exit(3);
