import { existsSync, readdirSync } from "node:fs";
import type { Command } from "commander";
import { confirm, engine, passArguments, prepare } from "#cli/engine.ts";

export function define(command: Command): void {
  passArguments(command)
    .option("-y, --yes", "do not ask")
    .action(async (args: readonly string[], { yes }: { readonly yes?: true }) => {
      const prepared = await prepare(command);
      const { plan } = prepared.opened;
      const { stack, dataDir } = plan.places;
      const kept = existsSync(dataDir) ? readdirSync(dataDir) : [];
      const data = kept.length === 0 ? "" : ` The data of ${kept.join(", ")} is kept in ${dataDir}.`;
      await confirm(
        `destroy stops and removes the ${plan.services.length} services of stack ${stack}.${data}`,
        yes === true,
      );
      await engine("destroy", ["--yes", "--skip-preview", ...args], prepared);
    });
}
