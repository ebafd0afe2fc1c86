import type { Engine } from "#setup/docker.ts";
import { setUpEngine } from "#setup/docker-engine.ts";
import { commonImages, type Images } from "#setup/image-references.ts";
import { setUpImages } from "#setup/images.ts";
import { setUp, type SetupOptions } from "#setup/setup.ts";
import type { Tools } from "#setup/tools.ts";

/** What services in containers need of this machine. */
export interface DockerParts {
  readonly engine: Engine;
  readonly tools: Tools;
  readonly images: Images;
}

/** Gets all of it. Idempotent. */
export async function setUpDocker(options: Omit<SetupOptions, "parts">): Promise<DockerParts> {
  const engine = await setUpEngine(options);
  const tools = await setUp({ ...options, parts: ["docker-plugin"] });
  const images = await setUpImages(options, commonImages);
  return { engine, tools, images };
}
