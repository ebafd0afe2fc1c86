import { existsSync } from "node:fs";
import type { Command } from "commander";
import { confirm, engine, passArguments, prepare } from "#cli/engine.ts";
import type { StackPlaces } from "#stack/places.ts";
import type { ServicePlan } from "#stack/plan.ts";

export function define(command: Command): void {
  passArguments(command)
    .option("-y, --yes", "do not ask")
    .action(async (args: readonly string[], { yes }: { readonly yes?: true }) => {
      const prepared = await prepare(command, { images: false });
      const { services, places } = prepared.opened.plan;
      const { kept, lost } = dataOf(services, places);
      const data = [
        ...(kept.length > 0 ? [` The data of ${kept.join(", ")} is kept.`] : []),
        ...(lost.length > 0 ? [` The data of ${lost.join(", ")} is removed (data: disposable).`] : []),
      ].join("");
      await confirm(
        `destroy stops and removes the ${services.filter((service) => !service.external).length} services of stack ${places.stack}.${data}`,
        yes === true,
      );
      await engine("destroy", ["--yes", "--skip-preview", ...args], prepared);
    });
}

function dataOf(services: readonly ServicePlan[], { dataDir }: StackPlaces) {
  const holders = services.filter((service) =>
    service.in === "container"
      ? (service.container?.volumes.length ?? 0) > 0
      : service.directories.some((directory) => directory.startsWith(`${dataDir}/`) && existsSync(directory)),
  );
  const names = (isKept: boolean): readonly string[] =>
    holders
      .filter((service) => service.dataKept === isKept)
      .map(({ name, container }) => `${name} (${container ? `volume ${container.volumes[0]?.name ?? ""}` : dataDir})`);
  return { kept: names(true), lost: names(false) };
}
