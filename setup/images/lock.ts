import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import { askEngine } from "#setup/docker-api.ts";
import type { ImageName } from "#setup/image-references.ts";

/** One official image. */
export interface LockedImage {
  /** With its registry: `docker.io/library/postgres`. */
  readonly repository: string;
  readonly tag: string;
  /** Null until `./engineroom images lock` has asked the registry: then the tag alone decides. */
  readonly digest: string | null;
}

export type ImageLock = Readonly<Record<ImageName, LockedImage>>;

export const lockFile = join(import.meta.dirname, "lock.json");

export function readLock(file = lockFile): ImageLock {
  return JSON.parse(readFileSync(file, "utf8")) as ImageLock;
}

/**
 * Asks the registries for what each tag stands for now, and writes the lock file anew.
 *
 * @returns each image with its digest before and now.
 * @throws UserError where one of them does not answer; then nothing is changed.
 */
export async function relocked(options: {
  readonly file: string;
  readonly mirror: string | undefined;
}): Promise<readonly { readonly name: ImageName; readonly before: string | null; readonly now: string }[]> {
  const { currentDigests } = await import("#setup/images/digests.ts");
  const before = readLock(options.file);
  const digests = await currentDigests(Object.values(before), options.mirror).catch((error: unknown) => {
    const got = error instanceof Error ? error.message : String(error);
    throw new UserError("REGISTRY_UNREACHABLE", `image lock: expected an answer from each registry, got: ${got}.`, {
      fix: "see that the registry can be reached from here, or name a mirror by ENGINEROOM_REGISTRY; nothing was changed",
      cause: error,
    });
  });
  const names = Object.keys(before) as readonly ImageName[];
  const changes = names.map((name, index) => ({ name, before: before[name].digest, now: digests[index] ?? "" }));
  const after = Object.fromEntries(changes.map(({ name, now }) => [name, { ...before[name], digest: now }]));
  writeFileAtomic(options.file, `${JSON.stringify(after, null, 2)}\n`);
  return changes;
}

/** @param mirror a registry to ask in place of the image's own, with the path that stands before its names, if any. */
export function lockedReference({ repository, tag, digest }: LockedImage, mirror?: string): string {
  const name = mirror ? `${mirror.replace(/\/$/, "")}/${repository.slice(repository.indexOf("/") + 1)}` : repository;
  return `${name}:${tag}${digest === null ? "" : `@${digest}`}`;
}

const answerWithinMs = 5_000;

/** Does the engine get an answer from the registry of this image? */
export async function registryAnswers(
  host: string,
  reference: string,
): Promise<{ readonly ok: boolean; readonly reason: string }> {
  try {
    await askEngine(host, { path: `/distribution/${reference}/json`, signal: AbortSignal.timeout(answerWithinMs) });
    return { ok: true, reason: "" };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
