import { statSync } from "node:fs";
import type { Command } from "commander";
import { inspectModelFile } from "#checks/model-file.ts";
import { shardPaths } from "#checks/model-parts.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { table, type Cell } from "#cli/table.ts";
import { fetchModels } from "#setup/model-sources.ts";
import { modelFilesOf, type ModelPlan, type ServicePlan } from "#stack/plan.ts";

export function define(command: Command): void {
  command.option("--json", "print one JSON object, and nothing else").action(async ({ json }: { json?: true }) => {
    const selected = selectStack(command);
    const { plan, context } = openSelected(selected);
    const cacheFile = `${context.host.cacheDir}/model-hashes.json`;
    const rows = await Promise.all(plan.models.map((model) => look(model, plan.services, cacheFile)));
    process.stdout.write(json ? `${JSON.stringify({ stack: selected.stack, models: rows })}\n` : modelsTable(rows));
    process.exitCode = rows.every(({ state, usedBy }) => state === "ready" || usedBy.length === 0) ? 0 : 1;
  });
  command
    .command("fetch")
    .description("download the models that the stack's services use and that are not there")
    .action(async () => {
      const { plan } = openSelected(selectStack(command));
      const { install } = globalOptions(command);
      await fetchModels(plan, { install, projectDir, report, env: process.env });
    });
}

interface Row {
  readonly name: string;
  readonly file: string;
  /** Of all its files that are there. */
  readonly sizeBytes: number;
  readonly state: "ready" | "incomplete" | "missing" | "damaged";
  /** What `state` means here. */
  readonly reason: string;
  /** As the stack file declares it. */
  readonly sha256: string | null;
  readonly usedBy: readonly string[];
}

async function look(model: ModelPlan, services: readonly ServicePlan[], cacheFile: string): Promise<Row> {
  const { name, path, mmproj, sha256 } = model;
  const shards = shardPaths(path);
  const files = [...("paths" in shards ? shards.paths : [path]), ...(mmproj ? [mmproj] : [])];
  const outcome = await inspectModelFile(model, { level: "quick", cacheFile });
  const part = sizeOf(`${path}.part`);
  const missing = sizeOf(path) === 0;
  return {
    name,
    file: path,
    sizeBytes: missing ? part : files.reduce((sum, file) => sum + sizeOf(file), 0),
    state: outcome.status === "ready" ? "ready" : missing && part === 0 ? "missing" : stateOf(outcome.status, missing),
    reason: outcome.status === "ready" ? outcome.detail : outcome.reason,
    sha256: sha256 ?? null,
    usedBy: services
      .filter((service) => modelFilesOf(service).some((used) => used.name === name))
      .map((one) => one.name),
  };
}

/** One that is being written, or downloaded, is whole some time later. */
const stateOf = (status: "pending" | "failed", missing: boolean): Row["state"] =>
  missing || status === "pending" ? "incomplete" : "damaged";

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

const MOODS = { ready: "good", incomplete: "middling", missing: "bad", damaged: "bad" } as const;

function modelsTable(rows: readonly Row[]): string {
  if (rows.length === 0) return "the stack declares no models\n";
  return table([
    ["NAME", "STATE", "SIZE", "SHA256", "USED BY", "FILE"],
    ...rows.map(({ name, state, sizeBytes, sha256, usedBy, file, reason }): readonly (string | Cell)[] => [
      name,
      { text: state, mood: MOODS[state] },
      sizeBytes === 0 ? "" : `${(sizeBytes / 1e6).toFixed(0)} MB`,
      sha256?.slice(0, 12) ?? "not declared",
      usedBy.join(", ") || "nobody",
      state === "damaged" ? `${file}: ${reason}` : file,
    ]),
  ]);
}
