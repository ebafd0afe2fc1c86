import { readImages, type ImageName } from "#setup/image-references.ts";
import { hostPlaces } from "#stack/places.ts";
import { freePort } from "./ports.ts";
import type { Runtime } from "./runtimes.ts";
import type { Sections } from "./test-stack.ts";

/** Programs that start at once: for what is about the machinery and not about a service. */
export interface Light extends Sections {
  readonly services: Readonly<Record<"base" | "page" | "side" | "once", Record<string, unknown>>>;
}

/** `page` needs `base`; nothing starts again by itself. */
export async function lightSections(runtime: Runtime = "host"): Promise<Light> {
  const own = programsIn(runtime);
  const sleeping = { kind: "process", restart: "no", ...own, command: ["sleep", "100000"] };
  return {
    settings: { in: runtime },
    services: {
      base: sleeping,
      page: {
        kind: "process",
        restart: "no",
        ...own,
        needs: ["base"],
        port: await freePort(),
        command: ["python3", "-m", "http.server", "${self.port}", "--bind", "${self.listen}"],
      },
      side: sleeping,
      once: { kind: "job", ...own, command: ["sh", "-c", "echo done"] },
    },
  };
}

/** What a service needs to find `sh`, `sleep` and `python3`: on this host nothing, in a container an image. */
export const programsIn = (runtime: Runtime): object =>
  runtime === "host" ? {} : { image: imageOf("python"), runAs: "10001:10001", readOnly: true, capabilities: [] };

/** What set-up has pulled or made. */
export function imageOf(name: ImageName): string {
  const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
  const reference = readImages(cacheDir)?.references[name];
  if (reference === undefined) throw new Error(`no image ${name}: ./engineroom setup --docker`);
  return reference;
}

/** The same stack with other settings of one service. */
export const withService = (
  light: Light,
  name: keyof Light["services"],
  settings: Readonly<Record<string, unknown>>,
): Light => ({ ...light, services: { ...light.services, [name]: { ...light.services[name], ...settings } } });
