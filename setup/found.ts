import { UserError } from "#cli/errors.ts";
import type { Found, SetupContext } from "#setup/context.ts";
import { tryProgram } from "#setup/run.ts";

/** A program out of an unpacked package, proved to start. */
export async function provenPackage(
  context: SetupContext,
  part: string,
  path: string,
  how: {
    readonly args: readonly string[];
    readonly pattern: RegExp;
    readonly env?: Readonly<Record<string, string>>;
    readonly version?: string;
    /** It tells its version and calls that no success. */
    readonly anyExit?: true;
  },
): Promise<Found> {
  const ran = await tryProgram(context, path, how.args, how.env);
  const version = how.pattern.exec(ran.output)?.[1];
  if (!(ran.ok || how.anyExit) || version === undefined) {
    const who = context.runAs === undefined ? "" : " as the service user";
    throw new UserError("SETUP_FAILED", `${part}: expected ${path} to start${who}, got: ${ran.reason}.`, {
      fix: `see that every directory above it may be entered (ENGINEROOM_CACHE_HOME places it elsewhere), or install ${part} yourself`,
    });
  }
  return {
    path,
    version: how.version ?? version,
    source: "packages",
    ...(how.env === undefined ? {} : { env: how.env }),
  };
}
