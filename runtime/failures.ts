import { writeFileSync } from "node:fs";
import { readTail } from "#observe/records.ts";

/** What the SDK says when the engine has refused a resource, perhaps with a property's name before it. */
const NOT_REGISTERED = /resource (\S+) \[[^\]]*\] failed to register$/;

/**
 * The engine has already shown why a resource failed. The SDK then rejects everything that depends on it, as an
 * unhandled error with a stack of its own insides; this turns that into one plain sentence.
 *
 * @param logs files that say why, by resource, where the engine was told only that it failed.
 */
export function explainFollowUps(logs: ReadonlyMap<string, string> = new Map()): void {
  process.prependListener("unhandledRejection", (error) => {
    if (!(error instanceof Error)) return;
    const resource = NOT_REGISTERED.exec(error.message)?.[1];
    if (resource === undefined) return;
    const log = logs.get(resource);
    const lines = log === undefined ? [] : readTail(log).map((line) => `\n    ${line}`);
    const end = lines.length === 0 ? "" : `. The end of ${log}:${lines.join("")}`;
    error.message = `${resource} failed (see above), so what needs it was not started${end}`;
    // The mark of a RunError, whose message is shown without a stack; while the program still runs it is the stack.
    Object.assign(error, { __pulumiRunError: true, stack: error.message });
  });
}

/**
 * A cancelled engine ends this program by SIGTERM; the command line, whose keyboard Pulumi had, learns of it by a mark.
 * An engine that fails while it deletes does the same, but only when the program is through.
 */
export function noteInterrupt(): { readonly end: () => void } {
  const mark = process.env["ENGINEROOM_INTERRUPTED"];
  let isThrough = false;
  process.once("SIGTERM", () => {
    if (mark !== undefined && !isThrough) writeFileSync(mark, "");
    process.exit(130);
  });
  return {
    end: () => {
      isThrough = true;
    },
  };
}
