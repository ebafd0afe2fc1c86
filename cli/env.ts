import type { Command } from "commander";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { exportLines, pulumiEnvironment } from "#setup/environment.ts";
import { ensurePassphrase } from "#setup/passphrase.ts";
import { setUp } from "#setup/setup.ts";
import { hostPlaces, projectPlaces } from "#stack/places.ts";

export function define(command: Command): void {
  command
    .addHelpText("after", '\nUse it so: eval "$(./engineroom env)", then pulumi up, pulumi preview, pulumi destroy.')
    .action(async () => {
      const { env } = process;
      const host = hostPlaces(env, process.getuid?.() ?? 0);
      const project = projectPlaces(host, projectDir);
      const { install } = globalOptions(command);
      const tools = await setUp({ parts: ["node", "pulumi"], install, projectDir, report, env });
      ensurePassphrase(project, env);
      process.stdout.write(exportLines(pulumiEnvironment({ host, project, tools, env })));
    });
}
