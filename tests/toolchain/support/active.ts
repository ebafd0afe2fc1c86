import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "#cli/errors.ts";
import { dockerPlugin } from "#setup/toolchain/layout.ts";
import { readTools } from "#setup/tools.ts";
import { hostPlaces } from "#stack/places.ts";

export interface ActiveToolchain {
  readonly pulumi: string;
  readonly home: string;
  /** Built by setup/toolchain, which promises more than the official programs in some places. */
  readonly ours: boolean;
}

/** The toolchain under test: `ENGINEROOM_PULUMI` and `PULUMI_HOME`, else the one that set-up found. */
export function activeToolchain(): ActiveToolchain {
  const { pulumi, home } = named() ?? setUp();
  return { pulumi, home, ours: sourceOf(dirname(dirname(pulumi))) === "packages" };
}

export function dockerPluginIsOurs(): boolean {
  const path = dockerPlugin(activeToolchain().home);
  return existsSync(path) && sourceOf(dirname(realpathSync(path))) === "packages";
}

function named(): { pulumi: string; home: string } | undefined {
  const { ENGINEROOM_PULUMI: pulumi, PULUMI_HOME: home } = process.env;
  return pulumi === undefined || home === undefined ? undefined : { pulumi, home };
}

function setUp(): { pulumi: string; home: string } {
  const tool = readTools(hostPlaces(process.env, process.getuid?.() ?? 0).cacheDir).pulumi;
  const home = tool?.env?.["PULUMI_HOME"];
  if (tool !== undefined && home !== undefined) return { pulumi: tool.path, home };
  throw new UserError("SETUP_MISSING", "pulumi: expected set-up to have found one, got none.", {
    fix: "./engineroom setup, or set ENGINEROOM_PULUMI and PULUMI_HOME",
  });
}

/** `toolchain.json` stands where we put a toolchain ourselves. */
function sourceOf(dir: string): string | undefined {
  try {
    const about = readFileSync(join(dir, "toolchain.json"), "utf8");
    return (JSON.parse(about) as { source?: string }).source;
  } catch {
    return undefined;
  }
}
