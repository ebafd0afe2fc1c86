import type { Found, SetupContext } from "#setup/context.ts";
import type { ToolName } from "#setup/tools.ts";

/** One part of the set-up: what is asked for, where to look for it, how to get it. */
export interface Part {
  readonly name: ToolName;
  /** What fits, in words. */
  readonly wanted: string;
  /** What a person does to have it without this program's help. */
  readonly fix: string;
  /** What decides the choice: versions and hashes. A part that was found under other pins is looked for again. */
  readonly pins: readonly string[];
  /** Parts that are used to find or make this one. */
  readonly needs: readonly ToolName[];
  /** Looks where people install it; undefined when nothing there fits. */
  readonly find: (context: SetupContext) => Promise<Found | undefined>;
  /** Is all that belongs to it still there? Left out where the program itself is all. */
  readonly intact?: (found: Found) => boolean;
  /** Gets it from elsewhere; left out where only people can install it. */
  readonly install?: (context: SetupContext) => Promise<Found>;
}
