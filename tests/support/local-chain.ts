import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { freeOffset, freePort } from "./ports.ts";
import type { Runtime } from "./runtimes.ts";
import type { Sections } from "./test-stack.ts";

export interface Chain {
  readonly sections: Sections;
  /** Of nginx, in front of all. */
  readonly url: string;
  readonly port: number;
  readonly databasePort: number;
  /** Every port that another machine must not reach. */
  readonly ports: readonly number[];
}

const DEFAULT_PORTS = [5432, 6379, 8081, 8000, 3000];

/** Pulumi.local.yaml, or Pulumi.dev.yaml, as it stands, but for its ports: the stack that people get. */
export async function localChain(runtime: Runtime): Promise<Chain> {
  const file = { host: "Pulumi.local.yaml", container: "Pulumi.dev.yaml" }[runtime];
  const text = readFileSync(join(dirname(dirname(import.meta.dirname)), file), "utf8");
  const { config } = parse(text) as { readonly config: Readonly<Record<string, Record<string, object>>> };
  const section = (name: string): Record<string, object> => config[`engineroom:${name}`] ?? {};
  // Both may run at the same time.
  const apart = runtime === "host" ? 0 : 100;
  const portOffset = apart + (await freeOffset(DEFAULT_PORTS.map((own) => own + apart)));
  const port = await freePort();
  return {
    sections: {
      settings: { ...section("settings"), portOffset },
      models: section("models"),
      services: { ...section("services"), edge: { ...section("services")["edge"], port } },
    },
    port,
    url: `http://127.0.0.1:${port}`,
    databasePort: 5432 + portOffset,
    ports: [...DEFAULT_PORTS.map((own) => own + portOffset), port],
  };
}
