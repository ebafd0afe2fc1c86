import { askEngine, EngineError } from "#setup/docker-api.ts";

export interface EngineImage {
  readonly Id: string;
  readonly Size: number;
  readonly RepoTags: readonly string[] | null;
}

/** What the engine knows of an image; undefined where it has none of this name. */
export async function inspectImage(host: string, reference: string): Promise<EngineImage | undefined> {
  try {
    return await askEngine<EngineImage>(host, { path: `/images/${reference}/json` });
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return undefined;
    throw error;
  }
}

export async function hasImage(host: string, reference: string): Promise<boolean> {
  return (await inspectImage(host, reference)) !== undefined;
}
