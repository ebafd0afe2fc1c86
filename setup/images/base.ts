import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic } from "#setup/atomic.ts";
import type { SetupContext } from "#setup/context.ts";
import { aptInstall, isDebianLike } from "#setup/apt.ts";
import { codename, debianSources } from "#setup/debian.ts";
import { followEngine } from "#setup/docker-api.ts";
import { hasImage } from "#setup/images/engine.ts";
import { seconds } from "#setup/models.ts";
import { executables } from "#setup/path.ts";
import { lastLine } from "#setup/run.ts";
import { shortHash } from "#setup/wheels.ts";

// perl, which usrmerge would bring, is a third of the image; usr-is-merged says that there is nothing to merge.
const packages = ["usr-is-merged", "ca-certificates", "libgomp1", "python3", "python3-venv", "python3-pip"];
const leaveOut = ["man", "doc", "info", "locale"].map((dir) => `--dpkgopt=path-exclude=/usr/share/${dir}/*`);
const options = [
  "--variant=apt",
  "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
  `--include=${packages.join(",")}`,
  ...leaveOut,
  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
  // This machine's name is nobody's business.
  '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
];

/** Another key means: another base. The mirror is no part of it. */
export const baseKey = shortHash(codename, ...options);
export const baseReference = `engineroom/base:${baseKey}`;

/** Sees that the engine has the Debian that all stand-ins stand on. */
export async function ensureBase(context: SetupContext, host: string): Promise<void> {
  if (await hasImage(host, baseReference)) return;
  const started = performance.now();
  const tar = await baseTar(context);
  await followEngine(
    host,
    {
      method: "POST",
      path: "/images/create",
      query: { fromSrc: "-", repo: "engineroom/base", tag: baseKey, changes: "LABEL engineroom.image=base" },
      body: createReadStream(tar, { highWaterMark: 1 << 20 }),
    },
    () => undefined,
  );
  context.report(`image base: Debian ${codename} from packages, ${seconds(started)} (${baseReference})`);
}

/** A Debian in a tar archive, made once. */
async function baseTar(context: SetupContext): Promise<string> {
  const target = join(context.cacheDir, "images", `base-${baseKey}.tar`);
  if (existsSync(target)) return target;
  const mmdebstrap = await findMmdebstrap(context);
  const { execa } = await import("execa");
  context.report(`image base: making a Debian ${codename} with mmdebstrap, about a minute`);
  await makeAtomic(target, async (temporary) => {
    const made = await execa(
      mmdebstrap,
      [...options, "--format=tar", codename, temporary, ...(await debianSources())],
      { reject: false, all: true, stdin: "ignore", env: { TMPDIR: "/tmp" }, timeout: 900_000 },
    );
    if (made.failed) {
      throw new UserError(
        "SETUP_FAILED",
        `images: expected mmdebstrap to make a Debian ${codename}, got: ${errorLine(made.all) ?? made.shortMessage}.`,
        { fix: "see that apt can reach its mirror; without root it needs user namespaces and /etc/subuid" },
      );
    }
  });
  return target;
}

async function findMmdebstrap(context: SetupContext): Promise<string> {
  const find = () => executables(context.env, ["mmdebstrap"], ["/usr/bin"])[0];
  const found = find();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && isDebianLike()) {
    await aptInstall(context, ["mmdebstrap", "debian-archive-keyring"], "to make the Debian that images stand on");
    const installed = find();
    if (installed !== undefined) return installed;
  }
  throw new UserError(
    "SETUP_MISSING",
    "images: expected mmdebstrap, which makes the Debian that they stand on, got none.",
    {
      fix: "sudo apt-get install mmdebstrap, or run ./engineroom setup --docker as root; where a registry answers, ENGINEROOM_IMAGES=registry",
      exitCode: 2,
    },
  );
}

function errorLine(output: string): string | undefined {
  return output.split("\n").findLast((line) => line.startsWith("E: ")) ?? lastLine(output);
}
