import type { Command } from "commander";
import { confirm, engine, passArguments, prepare } from "#cli/engine.ts";
import { report } from "#cli/options.ts";
import { servicesToRemove } from "#operations/engine.ts";
import type { ServicePlan } from "#stack/plan.ts";
import { printable } from "#stack/text.ts";

export function define(command: Command): void {
  passArguments(command)
    .option("-y, --yes", "do not ask before services are taken away")
    .action(async (args: readonly string[], { yes }: { readonly yes?: true }) => {
      const prepared = await prepare(command, { images: true });
      const { plan } = prepared.opened;
      const removed = servicesToRemove(plan);
      if (removed.length > 0) {
        await confirm(
          `up takes ${removed.join(", ")} away, which the stack file no longer has; data is kept.`,
          yes === true,
        );
      }
      if (await engine("up", ["--yes", "--skip-preview", ...args], prepared))
        report(whereToLook(plan.services, plan.places.stack));
    });
}

function whereToLook(services: readonly ServicePlan[], stack: string): string {
  const doors = services
    .filter(({ kind }) => kind === "nginx")
    .flatMap(({ outputs }) => outputs["domainUrl"] ?? outputs["url"] ?? [])
    .map((text) => printable([text]));
  const named = stack === "local" ? "" : ` --stack ${stack}`;
  return `${doors.map((url) => `Open ${url}`).join("\n")}${doors.length > 0 ? "\n" : ""}See ./engineroom${named} status`;
}
