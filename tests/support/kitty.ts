import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { freePort } from "./ports.ts";
import type { Sections } from "./test-stack.ts";

export type Services = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
export type Kitty = Sections & { readonly services: Services };

/** What a stack file holds. */
export function sectionsIn(file: string): Kitty {
  const { config } = parse(readFileSync(file, "utf8")) as { readonly config: Readonly<Record<string, unknown>> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.split(":")[1], value])) as never;
}

/** Pulumi.kitty.yaml as it stands, but for its ports and the name of its network. */
export async function kittySections(networkName: string): Promise<Kitty> {
  const shipped = sectionsIn(join(dirname(dirname(import.meta.dirname)), "Pulumi.kitty.yaml"));
  const services: Record<string, Services[string]> = {};
  for (const [name, service] of Object.entries(shipped.services)) {
    services[name] = {
      ...service,
      ...(service["port"] !== undefined && { port: await freePort() }),
      ...(service["webSocketPort"] !== undefined && { webSocketPort: await freePort() }),
    };
  }
  return { ...shipped, settings: { ...shipped.settings, networkName }, services };
}

export const withService = (kitty: Kitty, name: string, more: object): Kitty => ({
  ...kitty,
  services: { ...kitty.services, [name]: { ...kitty.services[name], ...more } },
});

export const withoutServices = (kitty: Kitty, names: readonly string[]): Kitty =>
  names.reduce((left, name) => withService(left, name, { enabled: false }), kitty);

export function portOf({ services }: Kitty, name: string): number {
  const port = services[name]?.["port"];
  if (typeof port !== "number") throw new Error(`${name} has no port`);
  return port;
}
