import { join } from "node:path";
import { readJson } from "#observe/records.ts";

/** Images that services in containers run on, or are built on. */
export const imageNames = ["postgres", "redis", "nginx", "llama-server", "ollama", "python", "node"] as const;
export type ImageName = (typeof imageNames)[number];

/** What `setup --docker` gets. The stand-in of ollama takes minutes to build: it is got where a stack asks for it. */
export const commonImages: readonly ImageName[] = imageNames.filter((name) => name !== "ollama");

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
