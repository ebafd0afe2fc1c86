import type { Command } from "commander";
import { selectStack } from "#cli/open.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { exportLines, pulumiEnvironment } from "#setup/environment.ts";
import { ensurePassphrase } from "#setup/passphrase.ts";
import { setUp } from "#setup/setup.ts";

export function define(command: Command): void {
  command
    .addHelpText("after", '\nUse it so: eval "$(./engineroom env)", then pulumi up, pulumi preview, pulumi destroy.')
    .action(async () => {
      const { env } = process;
      const { host, places: project } = selectStack(command);
      const { install, stack } = globalOptions(command);
      const tools = await setUp({ parts: ["node", "pulumi"], install, projectDir, report, env });
      ensurePassphrase(project, env);
      const named: Record<string, string> = stack === undefined ? {} : { PULUMI_STACK: stack };
      process.stdout.write(exportLines({ ...pulumiEnvironment({ host, project, tools, env }), ...named }));
    });
}
