import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic, withScratch } from "#setup/atomic.ts";
import type { SetupContext } from "#setup/context.ts";
import { executables } from "#setup/path.ts";
import { lastLine } from "#setup/run.ts";
import { shortHash } from "#setup/wheels.ts";

/** The release that everything of Debian here is of. */
export const codename = "bookworm";

/** Where apt finds who may sign, also on what is made of Debian. */
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Unpacks packages of Debian without installing them: any user can, and every host gets those of one release, which
 * stand-in images are made of, too. apt checks their signatures. Nothing of them is run.
 *
 * @param packages without what they depend on.
 * @returns the directory that holds `usr/`.
 */
export async function unpackDebian(context: SetupContext, name: string, packages: readonly string[]): Promise<string> {
  const target = join(context.cacheDir, "debian", `${name}-${debianKey(packages)}`);
  if (existsSync(target)) return target;
  if (executables(context.env, ["apt-get"]).length === 0) throw missing(name, "this host has no apt-get");
  if (!context.sources.includes("packages")) throw missing(name, "ENGINEROOM_SOURCES leaves packages out");
  await withScratch(target, (scratch) =>
    makeAtomic(target, async (temporary) => {
      const apt = await privateApt(context, scratch);
      await apt("update");
      await apt("download", ...packages);
      const { execa } = await import("execa");
      for (const file of readdirSync(scratch).filter((entry) => entry.endsWith(".deb"))) {
        await execa("dpkg-deb", ["--extract", join(scratch, file), temporary]);
      }
    }),
  );
  return target;
}

/** What decides its content, but for the day of the download. */
export const debianKey = (packages: readonly string[]): string => shortHash(codename, ...packages);

/** apt-get with lists of its own: it neither needs nor changes those of the host. */
async function privateApt(context: SetupContext, dir: string): Promise<(...args: string[]) => Promise<void>> {
  const signed = existsSync(keyring) ? `[signed-by=${keyring}] ` : "";
  const sources = (await debianSources()).map((line) => line.replace(/^deb /, `deb ${signed}`));
  writeFileSync(join(dir, "sources.list"), `${sources.join("\n")}\n`);
  writeFileSync(join(dir, "status"), "");
  for (const part of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(dir, part), { recursive: true });
  const options = {
    "Dir::Etc::SourceList": join(dir, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": join(dir, "lists"),
    "Dir::State::Status": join(dir, "status"),
    "Dir::Cache": join(dir, "cache"),
    "Acquire::Languages": "none",
    // It may not leave root's account for one that does not come to our directory.
    "APT::Sandbox::User": "root",
  };
  const flags = Object.entries(options).flatMap(([key, value]) => ["--option", `${key}=${value}`]);
  const { execa } = await import("execa");
  return async (...args) => {
    const ran = await execa("apt-get", ["--quiet", ...flags, ...args], {
      cwd: dir,
      reject: false,
      all: true,
      stdin: "ignore",
      env: context.env,
      timeout: 300_000,
    });
    if (!ran.failed) return;
    const error = ran.all
      .split("\n")
      .findLast((line) => line.startsWith("E: "))
      ?.slice("E: ".length);
    throw new UserError(
      "SETUP_FAILED",
      `debian: expected apt-get ${args.join(" ")} to succeed, got: ${error ?? lastLine(ran.all) ?? ran.shortMessage ?? ""}.`,
      { fix: "see that apt can reach its mirror; on Ubuntu it needs debian-archive-keyring" },
    );
  };
}

const missing = (name: string, why: string): UserError =>
  new UserError("SETUP_MISSING", `${name}: expected it on the host, got none, and ${why}.`, {
    fix: `install ${name} yourself`,
    exitCode: 2,
  });

/** The mirror that this host's apt uses, where the host is a Debian, else Debian's own. */
export async function debianSources(): Promise<readonly string[]> {
  const host = hostCodename();
  const { execa } = await import("execa");
  const format = "$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)";
  const listed = host && (await execa("apt-get", ["indextargets", "--format", format], { reject: false })).stdout;
  const own = (listed || "").split("\n").flatMap((line) => {
    const [kind, component, release = "", uri = ""] = line.split(" ");
    const suite = host && release.startsWith(host) ? release.slice(host.length) : "none";
    const fits = kind === "Packages" && component === "main" && ["", "-updates", "-security"].includes(suite);
    return fits ? [`deb ${uri} ${codename}${suite} main`] : [];
  });
  return own.length > 0 ? [...new Set(own)] : debianOwn;
}

const debianOwn = [
  `deb http://deb.debian.org/debian ${codename} main`,
  `deb http://deb.debian.org/debian ${codename}-updates main`,
  `deb http://deb.debian.org/debian-security ${codename}-security main`,
];

function hostCodename(): string | undefined {
  const about = readFileSync("/etc/os-release", "utf8");
  return /^ID=debian$/m.test(about) ? /^VERSION_CODENAME=(\S+)$/m.exec(about)?.[1] : undefined;
}
