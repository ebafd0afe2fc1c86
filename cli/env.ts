import type { Command } from "commander";
import { prepareShell } from "#cli/engine.ts";
import { ensureStack } from "#operations/engine.ts";
import { exportLines } from "#setup/environment.ts";

export function define(command: Command): void {
  command
    .addHelpText("after", '\nUse it so: eval "$(./engineroom env)", then pulumi up, pulumi preview, pulumi destroy.')
    .action(async () => {
      const { selected, target, variables } = await prepareShell(command);
      await ensureStack(target);
      process.stdout.write(exportLines({ ...variables, PULUMI_STACK: selected.stack }));
    });
}
