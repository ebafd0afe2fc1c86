import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { knownSha256, sha256Of } from "#checks/file-facts.ts";
import type { GgufHeader } from "#checks/gguf.ts";
import { lookAt } from "#checks/model-look.ts";
import type { FileLook } from "#checks/model-look.ts";
import { judgeMmproj, judgeShard, shardPaths } from "#checks/model-parts.ts";

export interface ModelFileSpec {
  /** For a model in shards its first one. */
  readonly path: string;
  /** Of the file at `path`. */
  readonly sha256?: string;
  /** Size of the file at `path`. */
  readonly bytes?: number;
  /** The projector of a vision or audio model. */
  readonly mmproj?: string;
  /** `wait`: somebody is still bringing the file. */
  readonly missing: "fail" | "wait";
  /** A file that was written to more recently is still being written. */
  readonly stableSeconds: number;
}

/** `quick` reads headers and takes a hash only from the cache; `full` also waits for rest and reads every byte. */
export type InspectLevel = "quick" | "full";

export interface InspectOptions {
  readonly level: InspectLevel;
  /** JSON file that remembers headers and hashes by path, size, mtime and inode. */
  readonly cacheFile: string;
  readonly signal?: AbortSignal;
}

type SoundFile = Extract<FileLook, { state: "file" }> & { readonly header: GgufHeader };
type Step<T> = { readonly outcome: Outcome } | { readonly found: T };

/** One look at a model and all that belongs to it. Never rejects; repeat it as a probe while it is `pending`. */
export async function inspectModelFile(spec: ModelFileSpec, options: InspectOptions): Promise<Outcome> {
  const shards = shardPaths(spec.path);
  if ("outcome" in shards) return shards.outcome;
  const files: SoundFile[] = [];
  for (const path of shards.paths) {
    const file = judgeLook({ ...spec, path }, await lookAt(path, options.cacheFile), options.level, path === spec.path);
    if ("outcome" in file) return file.outcome;
    const { header } = file.found;
    const misfit = judgeShard(path, header, files.length, shards.paths.length);
    if (misfit !== undefined) return misfit;
    files.push(file.found);
  }
  const [first] = files;
  if (first === undefined) return failed(`${spec.path}: no file belongs to it`);
  const notes = files.flatMap(({ header }) => unknownTypeNotes(header));
  if (spec.mmproj !== undefined) {
    const projector = judgeLook(
      { ...spec, path: spec.mmproj },
      await lookAt(spec.mmproj, options.cacheFile),
      options.level,
      false,
    );
    if ("outcome" in projector) return projector.outcome;
    const fit = judgeMmproj(spec.mmproj, projector.found.header, spec.path, first.header);
    if ("outcome" in fit) return fit.outcome;
    files.push(projector.found);
    notes.push(...fit.notes);
  }
  return judgeContent(spec, files, notes, options);
}

/** A sound file, or the outcome that stands in its way. `declared`: `bytes` speaks of this file. */
export function judgeLook(
  spec: ModelFileSpec,
  look: FileLook,
  level: InspectLevel,
  declared: boolean,
): Step<SoundFile> {
  const { path } = spec;
  const stop = (outcome: Outcome) => ({ outcome });
  switch (look.state) {
    case "missing":
      return stop(absent(spec, `${path} does not exist${partWords(look.partBytes, path)}`));
    case "dangling":
      return stop(absent(spec, `${path} is a link to ${look.target}, which does not exist`));
    case "loop":
      return stop(failed(`${path} is a link that leads back to itself`, `make it point to the model: ls -l ${path}`));
    case "special":
      return stop(failed(`${path}: expected a regular file, got ${look.what}`, "name the model file itself"));
    case "unreadable":
      return stop(
        failed(
          `${path} cannot be read by user ${process.geteuid?.() ?? "?"} (${look.code}; owner ${look.owner}, mode ${look.mode})`,
          `chmod a+r ${path}, and a+x on the directories above it`,
        ),
      );
    case "file":
      break;
  }
  const wrong = judgeBytes(declared ? spec.bytes : undefined, look);
  if (wrong === undefined && look.gguf.status === "good") return { found: { ...look, header: look.gguf.header } };
  const words = wrong ?? "it could not be read to the end of its header";
  if (isFresh(look, spec)) return stop(beingWritten(spec, look, words, level));
  return stop(failed(`${path} is no whole model: ${words}`, damageFix(words)));
}

/** Why this is not the whole file, or undefined. */
function judgeBytes(declared: number | undefined, { identity, gguf }: Extract<FileLook, { state: "file" }>) {
  if (identity.size === 0) return "it is empty";
  if (gguf.status === "bad") return gguf.reason;
  if (declared === undefined || declared === identity.size) return undefined;
  return `it has ${identity.size} bytes, expected ${declared}`;
}

function absent({ missing }: ModelFileSpec, reason: string): Outcome {
  return missing === "wait"
    ? pending(`${reason}; waiting for it`)
    : failed(reason, "put the file there, correct `file`, or set `missing: wait`");
}

function partWords(bytes: number | undefined, path: string): string {
  return bytes === undefined ? "" : `, but a download of it has ${bytes} bytes: ${path}.part`;
}

function beingWritten(spec: ModelFileSpec, look: { ageMs: number }, words: string, level: InspectLevel): Outcome {
  const reason = `${spec.path} is still being written (last change ${secondsText(look.ageMs)} ago): ${words}`;
  return level === "full" || spec.missing === "wait"
    ? pending(reason)
    : failed(reason, "run this again when the copy has ended, or set `missing: wait`");
}

function damageFix(words: string): string {
  // The small text file that git keeps in place of a large one.
  if (words.startsWith('it starts with "vers"')) return "git lfs pull";
  return "fetch it again, under another name that is renamed at the end";
}

/** A clock that was set back makes a file's age negative; it is old for us unless that is just now. */
const isFresh = ({ ageMs }: { readonly ageMs: number }, { stableSeconds }: ModelFileSpec): boolean =>
  Math.abs(ageMs) < stableSeconds * 1000;

/** A hash that fits proves more than rest does, so a file with one need not rest. */
async function judgeContent(
  spec: ModelFileSpec,
  files: readonly SoundFile[],
  notes: readonly string[],
  { level, cacheFile, signal }: InspectOptions,
): Promise<Outcome> {
  const [first] = files;
  if (first === undefined) return failed(`${spec.path}: no file belongs to it`);
  const hash = spec.sha256 === undefined ? undefined : await hashOf(first, level, cacheFile, signal);
  if (hash !== undefined && "outcome" in hash) return hash.outcome;
  const wrongHash = judgeHash(spec, first, hash?.found);
  if (wrongHash !== undefined) return wrongHash;
  const unproven = spec.sha256 === undefined ? files : files.slice(1);
  const restless = level === "full" ? unproven.find((file) => isFresh(file, spec)) : undefined;
  if (restless !== undefined)
    return pending(
      `${restless.identity.path} changed ${secondsText(restless.ageMs)} ago; ` +
        `it must rest for ${spec.stableSeconds} s`,
    );
  return ready([describe(spec, files, hash?.found), ...notes].join("; "));
}

/** `found` is undefined where the quick look knows no hash. */
async function hashOf(
  { identity }: SoundFile,
  level: InspectLevel,
  cacheFile: string,
  signal: AbortSignal | undefined,
): Promise<Step<string | undefined>> {
  try {
    const read = level === "quick" ? knownSha256(identity, cacheFile) : sha256Of(identity, cacheFile, signal);
    return { found: await read };
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    return { outcome: pending(`${identity.path} was not read to its end (${code})`) };
  }
}

export function judgeHash(
  spec: ModelFileSpec,
  file: { readonly ageMs: number },
  sha256: string | undefined,
): Outcome | undefined {
  if (spec.sha256 === undefined || sha256 === undefined || sha256 === spec.sha256.toLowerCase()) return undefined;
  const words = `${spec.path}: expected sha256 ${spec.sha256.toLowerCase()}, got ${sha256}`;
  if (isFresh(file, spec)) return pending(`${words}; it is still being written`);
  return failed(words, "fetch the file again, or correct `sha256`");
}

function describe(spec: ModelFileSpec, files: readonly SoundFile[], sha256: string | undefined): string {
  const bytes = files.reduce((sum, { identity }) => sum + identity.size, 0);
  const architecture = files[0]?.header.metadata["general.architecture"] ?? "unknown architecture";
  const proof =
    spec.sha256 === undefined ? "no sha256 declared" : sha256 === undefined ? "sha256 not read" : "sha256 fits";
  return `${spec.path}: ${String(architecture)}, ${bytes} bytes in ${files.length === 1 ? "1 file" : `${files.length} files`}, ${proof}`;
}

function unknownTypeNotes({ unknownTypes }: GgufHeader): readonly string[] {
  return unknownTypes.length === 0
    ? []
    : [`cannot verify the end of tensors of type ${unknownTypes.join(", ")}, which is newer than this check`];
}

const secondsText = (ms: number): string => `${(Math.abs(ms) / 1000).toFixed(1)} s`;
