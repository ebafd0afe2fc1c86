import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "#stack/sections.ts";

/** The stack's configuration as Pulumi hands it to the program: decrypted, objects as JSON texts. */
export function stackConfig(): StackConfig {
  const texts = pulumi.runtime.allConfig() as Record<string, string>;
  return {
    values: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, parsed(text)])),
    secretKeys: new Set(JSON.parse(process.env["PULUMI_CONFIG_SECRET_KEYS"] ?? "[]") as string[]),
  };
}

function parsed(text: string): unknown {
  if (!text.startsWith("{") && !text.startsWith("[")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
