import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { GeneratedSecret } from "#providers/resources.ts";
import type { StackPlan, UserSecret } from "#stack/plan.ts";

/** 256 bits, in 43 characters. */
const GENERATED_BYTES = 32;

/** Every secret of the stack by name: those that users bring, as `secret.NAME`, and those made for services. */
export function stackSecrets(plan: StackPlan): ReadonlyMap<string, pulumi.Output<string>> {
  const brought = Object.entries(plan.secrets).map(
    ([name, secret]) => [`secret.${name}`, bring(name, secret)] as const,
  );
  const made = plan.services
    .flatMap((service) => service.generates)
    .map((name) => [name, generate(name.replace(".", "-"), GENERATED_BYTES)] as const);
  return new Map([...brought, ...made]);
}

function bring(name: string, secret: UserSecret): pulumi.Output<string> {
  switch (secret.from) {
    case "config":
      return pulumi.secret(secret.value);
    case "env":
      return pulumi.secret(process.env[secret.variable] ?? "");
    case "file":
      return pulumi.secret(readSecretFile(secret));
    case "generate":
      return generate(`secret-${name}`, secret.bytes);
  }
}

/** Preflight has refused what is required and cannot be read. */
function readSecretFile({ path, required }: Extract<UserSecret, { from: "file" }>): string {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    if (required) throw error;
    return "";
  }
}

const generate = (name: string, bytes: number): pulumi.Output<string> => new GeneratedSecret(name, { bytes }, {}).value;
