import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { freePort } from "./ports.ts";
import type { Sections } from "./test-stack.ts";

/** Of the sheet, without the prefix of the four containers. */
const PORTED = {
  "mistudio-postgres": 5432,
  "mistudio-redis": 6379,
  "mistudio-ollama": 11434,
  "mistudio-nginx": 80,
  backend: 8000,
  frontend: 3000,
} as const;

type Ported = keyof typeof PORTED;
export type Ports = Readonly<Record<Ported, number>>;

export interface Mistudio {
  readonly sections: Sections;
  readonly ports: Ports;
}

/**
 * Pulumi.mistudio.yaml as it stands, but for what this machine may have in use and its log files: names end with
 * `suffix`.
 */
export async function mistudio(suffix: string): Promise<Mistudio> {
  const text = readFileSync(join(dirname(dirname(import.meta.dirname)), "Pulumi.mistudio.yaml"), "utf8");
  const { config } = parse(text, { merge: true }) as { readonly config: Readonly<Record<string, object>> };
  const ports = Object.fromEntries(
    await Promise.all(Object.keys(PORTED).map(async (name) => [name, await freePort()] as const)),
  ) as Ports;
  const services = config["engineroom:services"] as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const moved = Object.entries(services).map(([name, { logFile: _logFile, ...service }]) => [
    name,
    {
      ...service,
      ...(name in ports && { port: ports[name as Ported] }),
      ...suffixed(service, "containerName", suffix),
      ...suffixed(service, "volumeName", suffix),
    },
  ]);
  return { sections: { services: Object.fromEntries(moved) as Sections["services"] }, ports };
}

const suffixed = (service: Readonly<Record<string, unknown>>, key: string, suffix: string): object =>
  typeof service[key] === "string" ? { [key]: `${service[key]}${suffix}` } : {};
