import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import { requireEngine } from "#setup/docker.ts";
import { isStandIn, type ImageName, type Images, type ImageSource, readImages } from "#setup/image-references.ts";
import { hasImage } from "#setup/images/engine.ts";
import { lockedReference, readLock, registryAnswers, type ImageLock } from "#setup/images/lock.ts";
import { standInReference } from "#setup/images/stand-ins.ts";
import { prepared, setUp, type SetupOptions } from "#setup/setup.ts";
import { hostPlaces } from "#stack/places.ts";

type Options = Omit<SetupOptions, "parts"> & {
  /** What to pull, where it is not this repository's own `setup/images/lock.json`. */
  readonly lock?: ImageLock;
};

/** Images whose program's flags are looked up before it runs. */
const LLAMA: readonly ImageName[] = ["llama-server", "llama-server-cuda"];

/**
 * Sees that the engine has these images: pulls the official ones, or builds stand-ins. With all of them there it only
 * asks the engine for each. Safe to run at the same time as itself.
 */
export async function setUpImages(options: Options, names: readonly ImageName[]): Promise<Images> {
  const images = await getImages(options, names);
  const llama = LLAMA.filter((name) => names.includes(name)).flatMap((name) => images.references[name] ?? []);
  if (llama.length > 0) {
    const [{ noteImageFlags }, { host }] = await Promise.all([
      import("#setup/images/llama-flags.ts"),
      requireEngine(options.env),
    ]);
    const { cacheDir } = hostPlaces(options.env, process.getuid?.() ?? 0);
    for (const reference of llama) await noteImageFlags(host, reference, join(cacheDir, "llama-flags.json"));
  }
  return images;
}

async function getImages(options: Options, names: readonly ImageName[]): Promise<Images> {
  const { env } = options;
  const { cacheDir } = hostPlaces(env, process.getuid?.() ?? 0);
  const { host } = await requireEngine(env);
  const known = readImages(cacheDir);
  const source = sourceAsked(env) ?? known?.source;
  if (known !== undefined && known.source === source) {
    const wanted = referencesOf(source, names, options);
    const current = names.every((name) => known.references[name] === wanted[name]);
    if (current && (await allThere(host, Object.values(wanted)))) return known;
  }
  if (!options.install) {
    throw new UserError(
      "SETUP_MISSING",
      `images: expected the engine to have ${names.join(", ")}, got not all of them.`,
      {
        fix: "./engineroom setup --docker",
        exitCode: 2,
      },
    );
  }
  await setUp({ ...options, parts: ["python"] });
  return prepared(options, "images", async (context) => {
    const chosen = source ?? (await chooseSource(options, host, context.sources.includes("official")));
    const wanted = referencesOf(chosen, names, options);
    const made = chosen === "packages" ? names.filter(isStandIn) : [];
    const pulled = names.filter((name) => chosen === "registry" || !isStandIn(name));
    if (pulled.length > 0) {
      const { pullImages } = await import("#setup/images/pull.ts");
      await pullImages(context, host, Object.fromEntries(pulled.map((name) => [name, wanted[name]])));
    }
    if (made.length > 0) {
      const { buildStandIns, removeOldStandIns } = await import("#setup/images/build.ts");
      await buildStandIns(context, host, made);
      await removeOldStandIns(host, made, options.report);
    }
    const before = readImages(cacheDir);
    const kept = before?.source === chosen ? before.references : {};
    const images: Images = { source: chosen, references: { ...kept, ...wanted } };
    writeFileAtomic(join(cacheDir, "images.json"), `${JSON.stringify(images, null, 2)}\n`);
    return images;
  });
}

async function allThere(host: string, references: readonly string[]): Promise<boolean> {
  const there = await Promise.all(references.map((reference) => hasImage(host, reference)));
  return there.every(Boolean);
}

/** What has no stand-in comes from a registry in any case. */
function referencesOf(source: ImageSource, names: readonly ImageName[], { env, lock }: Options) {
  const pins = lock ?? readLock();
  const locked = (name: ImageName) => lockedReference(pins[name], env["ENGINEROOM_REGISTRY"]);
  return Object.fromEntries(
    names.map((name) => [name, source === "packages" && isStandIn(name) ? standInReference(name) : locked(name)]),
  ) as Readonly<Partial<Record<ImageName, string>>>;
}

function sourceAsked(env: NodeJS.ProcessEnv): ImageSource | undefined {
  const asked = env["ENGINEROOM_IMAGES"];
  if (!asked) return undefined;
  if (asked === "registry" || asked === "packages") return asked;
  throw new UserError("USAGE", `ENGINEROOM_IMAGES: expected registry or packages, got \`${asked}\`.`, {
    fix: "unset ENGINEROOM_IMAGES: then set-up chooses",
    exitCode: 2,
  });
}

/** The engine does the pulling, so it is the one that must get an answer. */
async function chooseSource(options: Options, host: string, allowed: boolean): Promise<ImageSource> {
  const { env, report, lock = readLock() } = options;
  const sample = lockedReference(lock.node, env["ENGINEROOM_REGISTRY"]);
  const answer = allowed
    ? await registryAnswers(host, sample)
    : { ok: false, reason: "ENGINEROOM_SOURCES leaves it out" };
  if (answer.ok) {
    report("images: official ones, from the registry");
    return "registry";
  }
  report(
    `images: stand-ins from packages, because no registry answers (${answer.reason}); ENGINEROOM_IMAGES=registry asks again`,
  );
  return "packages";
}
