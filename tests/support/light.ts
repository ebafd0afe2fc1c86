import { freePort } from "./ports.ts";
import type { Runtime } from "./local-chain.ts";
import type { Sections } from "./test-stack.ts";

/** Programs that start at once: for what is about the machinery and not about a service. */
export interface Light extends Sections {
  readonly services: Readonly<Record<"base" | "page" | "side" | "once", Record<string, unknown>>>;
}

/** `page` needs `base`; nothing starts again by itself. */
export async function lightSections(runtime: Runtime = "host"): Promise<Light> {
  const sleeping = { kind: "process", restart: "no", command: ["sleep", "100000"] };
  return {
    settings: { in: runtime },
    services: {
      base: sleeping,
      page: {
        kind: "process",
        restart: "no",
        needs: ["base"],
        port: await freePort(),
        command: ["python3", "-m", "http.server", "${self.port}", "--bind", "127.0.0.1"],
      },
      side: sleeping,
      once: { kind: "job", command: ["sh", "-c", "echo done"] },
    },
  };
}

/** The same stack with other settings of one service. */
export const withService = (
  light: Light,
  name: keyof Light["services"],
  settings: Readonly<Record<string, unknown>>,
): Light => ({ ...light, services: { ...light.services, [name]: { ...light.services[name], ...settings } } });
