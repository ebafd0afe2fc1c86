import { join } from "node:path";
import { readJson } from "#observe/records.ts";

/** What `setup --docker` gets: images that services in containers run on, or are built on. */
export const commonImages = ["postgres", "redis", "nginx", "llama-server", "python", "node"] as const;

/** These are got where a stack asks for them: few do, and the stand-ins of some take minutes to build. */
const rareImages = ["ollama", "object-store", "mqtt", "prometheus"] as const;

/** These come from a registry alone. */
export const officialImages = ["grafana", "loki", "alloy", "llama-server-cuda"] as const;

export const imageNames = [...commonImages, ...rareImages, ...officialImages] as const;
export type ImageName = (typeof imageNames)[number];
/** Made from packages where no registry answers. */
export type StandInName = Exclude<ImageName, (typeof officialImages)[number]>;

export const isStandIn = (name: ImageName): name is StandInName => !officialImages.some((other) => other === name);

/**
 * Those that every machine can have.
 *
 * @param noOllama why Ollama cannot be built here, if so: its stand-in takes the same build.
 */
export const imagesToTest = (noOllama: string | undefined): readonly StandInName[] =>
  imageNames.filter(isStandIn).filter((name) => name !== "ollama" || noOllama === undefined);

/** `registry`: the official ones, by tag and digest; `packages`: stand-ins that set-up builds (docs/images.md). */
export type ImageSource = "registry" | "packages";

export interface Images {
  readonly source: ImageSource;
  /** What the engine knows each by. Those that nobody asked for are left out. */
  readonly references: Readonly<Partial<Record<ImageName, string>>>;
}

/** What the last set-up wrote; undefined where there was none. Whether the engine still has them is not looked at. */
export function readImages(cacheDir: string): Images | undefined {
  return readJson(join(cacheDir, "images.json")) as Images | undefined;
}
