import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "#cli/errors.ts";

/** The CLI, the language host and the npm package @pulumi/pulumi have one version. */
export const pulumiVersion = "3.259.0";
/** The npm package @pulumi/command asks for a plugin of exactly its own version. */
export const commandVersion = "1.2.1";
/** As @pulumi/docker does. */
export const dockerVersion = "5.2.0";
/** How people install it themselves. */
export const dockerFix = `pulumi plugin install resource docker v${dockerVersion}`;

/** Later ones run models in a llama-server beside them, which Go alone does not build. */
export const ollamaVersion = "0.17.4";

/** versitygw, an S3 server that keeps objects as files. */
export const objectStoreVersion = "1.8.0";

export const prometheusVersion = "3.14.0";

const pins = {
  "@pulumi/pulumi": pulumiVersion,
  "@pulumi/command": commandVersion,
  "@pulumi/docker": dockerVersion,
};
const Manifest = z.object({ version: z.string() });

/** @throws when the installed packages would ask for other programs than those that are set up here. */
export function checkPackages(nodeModules: string): void {
  for (const [name, expected] of Object.entries(pins)) {
    const got = installedVersion(join(nodeModules, name));
    if (got === expected) continue;
    throw new UserError("PACKAGES_DIFFER", `${name}: expected version ${expected} in ${nodeModules}, got ${got}.`, {
      fix: "npm ci",
    });
  }
}

function installedVersion(dir: string): string {
  try {
    return Manifest.parse(JSON.parse(readFileSync(join(dir, "package.json"), "utf8"))).version;
  } catch {
    return "none";
  }
}
