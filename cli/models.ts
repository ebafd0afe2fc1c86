import { readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { inspectModelFile } from "#checks/model-file.ts";
import { shardPaths } from "#checks/model-parts.ts";
import { confirm } from "#cli/engine.ts";
import { UserError } from "#cli/errors.ts";
import { openSelected, selectStack, type Selected } from "#cli/open.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { table, type Cell } from "#cli/table.ts";
import { writeFileAtomic } from "#setup/atomic.ts";
import { fetchModels } from "#setup/model-sources.ts";
import { stackFileName } from "#stack/file.ts";
import { withModelChoice, type ModelChoice } from "#stack/model-choice.ts";
import { mmprojFile } from "#stack/model-sources.ts";
import { modelFilesOf, type ModelPlan, type ServicePlan, type StackPlan } from "#stack/plan.ts";
import { didYouMean } from "#stack/problems.ts";
import { modelSettings } from "#stack/schema.ts";
import type { StackConfig } from "#stack/sections.ts";
import { SMALL_MODEL } from "#stack/small-model.ts";

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
    .command("use")
    .description("write into the stack file that it runs on the small model instead, or on the declared ones again")
    .argument("<choice>", CHOICES.join(" or "))
    .option("-y, --yes", "do not ask")
    .action(async (choice: string, { yes }: { readonly yes?: true }) => {
      if (!isChoice(choice)) {
        throw new UserError("USAGE", `models use: expected ${CHOICES.join(" or ")}, got \`${choice}\`.`, {
          exitCode: 2,
          ...withFix(didYouMean(choice, CHOICES)),
        });
      }
      const selected = selectStack(command);
      await use(choice, selected, openSelected(selected).plan, yes === true);
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

const CHOICES = ["small", "declared"] as const;
const isChoice = (word: string): word is ModelChoice => CHOICES.some((choice) => choice === word);
const withFix = (fix: string | undefined) => (fix === undefined ? {} : { fix });

async function use(choice: ModelChoice, { stack, config }: Selected, plan: StackPlan, yes: boolean): Promise<void> {
  const name = stackFileName(stack);
  const file = join(projectDir, name);
  const text = readFileSync(file, "utf8");
  const changed = withModelChoice(text, choice);
  const pulled = pulledModels(plan);
  const hasNone = plan.models.length === 0 && pulled.length === 0;
  if (hasNone || changed === text) {
    const why = hasNone ? "it declares no models" : `it is set to \`models use ${choice}\` already`;
    report(`${name}: nothing to change, ${why}`);
    return;
  }
  process.stdout.write(lineDiff(text, changed));
  for (const { name: model, file: declared, mmproj } of declaredModels(config)) {
    report(
      choice === "small"
        ? `${model}: ${SMALL_MODEL.file} in place of ${declared}`
        : `${model}: ${declared}${mmproj ? `, ${mmproj}` : ""}`,
    );
    if (choice === "small" && mmproj) report(`${model}: without its projector, so it takes text and refuses images`);
  }
  for (const model of pulled)
    report(`${model}: ${choice === "small" ? `${SMALL_MODEL.file} in place of it` : "pulled"}`);
  await confirm(`This is written to ${name}; what runs is left as it is.`, yes);
  writeFileAtomic(realpathSync(file), changed, statSync(file).mode & 0o777);
  report(`${name} is written. ./engineroom${stack === "local" ? "" : ` --stack ${stack}`} up applies it`);
}

/** As the stack file has them. */
function declaredModels({ values }: StackConfig) {
  const models = (values["engineroom:models"] ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(models).map(([name, settings]) => {
    const model = modelSettings.parse(settings);
    return { name, file: model.file, mmproj: mmprojFile(model) };
  });
}

/** Those that a server pulls by their name, or would. */
const pulledModels = ({ services }: StackPlan): readonly string[] =>
  services
    .flatMap(({ serves = [] }) => serves)
    .flatMap(({ name, file }) => (file === undefined || file.standsInFor === name ? [name] : []));

/** The lines that differ, as `diff` shows them: there is one place. */
function lineDiff(before: string, after: string): string {
  const [old, now] = [before.split("\n"), after.split("\n")];
  const same = (a: readonly string[], b: readonly string[]): number => {
    const first = a.findIndex((line, index) => line !== b[index]);
    return first === -1 ? a.length : first;
  };
  const head = same(old, now);
  const tail = same(old.slice(head).reverse(), now.slice(head).reverse());
  const middle = (lines: readonly string[], mark: string) =>
    lines.slice(head, lines.length - tail).map((line) => `${mark}${line}\n`);
  return [`@@ line ${head + 1} @@\n`, ...middle(old, "-"), ...middle(now, "+")].join("");
}

interface Row {
  readonly name: string;
  readonly file: string;
  /** The declared file, in whose place the small model is used. */
  readonly standsInFor: string | null;
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
    standsInFor: model.standsInFor ?? null,
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
    ...rows.map(({ name, state, sizeBytes, sha256, usedBy, file, reason, standsInFor }): readonly (string | Cell)[] => [
      name,
      { text: state, mood: MOODS[state] },
      sizeBytes === 0 ? "" : `${(sizeBytes / 1e6).toFixed(0)} MB`,
      sha256?.slice(0, 12) ?? "not declared",
      usedBy.join(", ") || "nobody",
      `${file}${state === "damaged" ? `: ${reason}` : ""}${standsInFor ? ` in place of ${standsInFor}` : ""}`,
    ]),
  ]);
}
