import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { GeneratedSecret } from "#providers/resources.ts";
import type { StackPlan, UserSecret } from "#stack/plan.ts";

/** 256 bits, in 43 characters. */
const GENERATED_BYTES = 32;

/**
 * Every secret of the stack by name: those that users bring, as `secret.NAME`, and those made for services.
 *
 * @param when the engine's first answer about a service. It loads one plugin after the other, and the one that makes
 *   secrets takes longest: asked for then, and not before, it starts beside supervisord instead of ahead of it.
 */
export function stackSecrets(plan: StackPlan, when: Promise<unknown>): ReadonlyMap<string, pulumi.Output<string>> {
  const brought = Object.entries(plan.secrets).map(
    ([name, secret]) => [`secret.${name}`, bring(name, secret, when)] as const,
  );
  const made = plan.services
    .flatMap((service) => service.generates)
    .map((name) => [name, generate(name.replace(".", "-"), GENERATED_BYTES, when)] as const);
  return new Map([...brought, ...made]);
}

function bring(name: string, secret: UserSecret, when: Promise<unknown>): pulumi.Output<string> {
  switch (secret.from) {
    case "config":
    case "envFile":
      return pulumi.secret(secret.value);
    case "env":
      return pulumi.secret(process.env[secret.variable] ?? "");
    case "file":
      return pulumi.secret(readSecretFile(secret));
    case "generate":
      return generate(`secret-${name}`, secret.bytes, when);
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

const generate = (name: string, bytes: number, when: Promise<unknown>): pulumi.Output<string> =>
  new GeneratedSecret(name, { bytes: when.then(() => bytes) }, {}).value;

/**
 * What a Command that fills holes gets on its standard input: a variable would show in the environment of the process
 * that writes them.
 */
export function secretInput(
  names: readonly string[],
  secrets: ReadonlyMap<string, pulumi.Output<string>>,
): pulumi.Input<string> {
  if (names.length === 0) return "{}";
  const values = Object.fromEntries(names.flatMap((name) => [[name, secrets.get(name)] as const]));
  return pulumi.secret(pulumi.all(values).apply((filled) => JSON.stringify(filled)));
}
