import { readFileSync } from "node:fs";
import { join } from "node:path";
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

export function readLock(): ImageLock {
  return JSON.parse(readFileSync(lockFile, "utf8")) as ImageLock;
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
    const isLate = error instanceof Error && error.name === "AbortError";
    const reason = isLate
      ? `no answer in ${answerWithinMs / 1000} s`
      : error instanceof Error
        ? error.message
        : String(error);
    return { ok: false, reason };
  }
}
