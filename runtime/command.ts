import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { Tools } from "#setup/tools.ts";
import { driftText } from "./drift.ts";

/** What one of our Python files does at which end of a Command's life. */
interface Scripts {
  readonly create: string;
  /** Absent: a change is another Command. */
  readonly update?: string;
  readonly delete?: string;
}

interface PlanCommand {
  readonly scripts: Scripts;
  /** JSON, without a secret. */
  readonly plan: string;
  readonly tools: Tools;
  /** Why it must be carried out again, though the plan did not change. */
  readonly drift: string | undefined;
  readonly stdin?: pulumi.Input<string>;
}

/**
 * Carries a plan out by one of our Python files; the one maker of Commands.
 *
 * The texts are constant one-liners, so that neither a moved tool nor a change of the plan rewrites them: all data comes
 * in variables. `exec`: what a timeout kills is the program.
 */
export function runPlan(
  name: string,
  { scripts, plan, tools, drift, stdin }: PlanCommand,
  opts: pulumi.CustomResourceOptions,
): local.Command {
  const script = (text: string): string => `exec "$ENGINEROOM_PYTHON" -S -E -s -B runtime/${text}`;
  return new local.Command(
    name,
    {
      create: script(scripts.create),
      ...(scripts.update !== undefined && { update: script(scripts.update) }),
      ...(scripts.delete !== undefined && { delete: script(scripts.delete) }),
      environment: { PLAN: plan, ENGINEROOM_PYTHON: tools.python?.path ?? "python3", DRIFT: driftText(drift) },
      ...(stdin !== undefined && { stdin }),
      logging: "none",
      addPreviousOutputInEnv: false,
    },
    { ...opts, ignoreChanges: drift === undefined ? ["environment.DRIFT"] : [] },
  );
}
