import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { UserError } from "#cli/errors.ts";
import { openSelected, selectStack, type Selected } from "#cli/open.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { openStack, type Opened } from "#observe/world.ts";
import { prepareEngine, runEngine, type EngineTarget, type Verb } from "#operations/engine.ts";
import { pulumiEnvironment } from "#setup/environment.ts";
import { fetchModels, missingDownloads } from "#setup/model-sources.ts";
import { modelFiles } from "#setup/models.ts";
import { ensurePassphrase } from "#setup/passphrase.ts";
import type { ImageName } from "#setup/image-references.ts";
import { setUp, setUpModel } from "#setup/setup.ts";
import type { ToolName } from "#setup/tools.ts";
import { stackFileName } from "#stack/file.ts";
import { modelFilesOf, type StackPlan } from "#stack/plan.ts";
import { problemReport } from "#stack/problems.ts";

/** A stack whose tools are there. */
export interface Prepared {
  readonly selected: Selected;
  readonly opened: Opened;
  readonly target: EngineTarget;
  /** What plain Pulumi needs beyond the present environment. */
  readonly variables: Readonly<Record<string, string>>;
  /** Seconds that set-up took. */
  readonly setupSeconds: number;
}

/**
 * Loads the stack file (bad input ends here, before anything is changed) and sets up what the stack uses.
 *
 * @param options.images whether services are to be made, which takes images and models; otherwise an engine is enough.
 */
export async function prepare(command: Command, { images }: { readonly images: boolean }): Promise<Prepared> {
  const selected = selectStack(command);
  const opened = openSelected(selected);
  if (images) await refuseWithoutGpu(opened);
  const shell = await equip(command, selected, opened, images);
  if (images && missingDownloads(opened.plan).length > 0) {
    const { install } = globalOptions(command);
    await fetchModels(opened.plan, { install, projectDir, report, env: process.env });
  }
  return { ...shell, opened: openSelected(selected) };
}

/** Before gigabytes are fetched that would run on a GPU which is not there. */
async function refuseWithoutGpu({ plan, engineHost }: Opened): Promise<void> {
  if (!plan.services.some(({ gpu }) => gpu?.required)) return;
  const [{ lookForGpus }, { gpuProblems }] = await Promise.all([import("#observe/gpu.ts"), import("#checks/gpu.ts")]);
  const seen = await lookForGpus(plan, engineHost);
  const problems = seen ? gpuProblems(plan, seen) : [];
  const [first] = problems;
  if (first) throw new UserError(first.code, problemReport(`The world around stack ${plan.places.stack}`, problems));
}

/** The same for a shell. What is wrong in the stack file is told and no more: Pulumi's `config set` may be what mends it. */
export async function prepareShell(command: Command): Promise<Omit<Prepared, "opened">> {
  const selected = selectStack(command);
  const opened = openStack({ stack: selected.stack, config: selected.config, projectDir, env: process.env });
  if ("problems" in opened) report(problemReport(stackFileName(selected.stack), opened.problems));
  return equip(command, selected, "problems" in opened ? undefined : opened, true);
}

async function equip(
  command: Command,
  selected: Selected,
  opened: Opened | undefined,
  images: boolean,
): Promise<Omit<Prepared, "opened">> {
  const started = performance.now();
  const { install } = globalOptions(command);
  const options = { install, projectDir, report, env: process.env };
  const tools = await setUp({ parts: partsOf(opened), ...options });
  await Promise.all(modelsOf(opened, selected).map((file) => setUpModel(file, options)));
  if (opened?.plan.network) {
    const [{ setUpImages }, { requireEngine }] = await Promise.all([
      import("#setup/images.ts"),
      import("#setup/docker.ts"),
    ]);
    await (images ? setUpImages(options, imagesOf(opened.plan)) : requireEngine(process.env));
  }
  ensurePassphrase(selected.places, process.env);
  const { host, places } = selected;
  const variables = pulumiEnvironment({ host, project: places, tools, env: process.env });
  const env = { ...process.env, ...variables };
  const target = { places, encrypted: selected.config.secretKeys.size > 0, env, report };
  return { selected, target, variables, setupSeconds: (performance.now() - started) / 1000 };
}

const partsOf = (opened: Opened | undefined): readonly ToolName[] => {
  const services = opened?.plan.services ?? [];
  return [
    ...new Set<ToolName>([
      "node",
      "python",
      "pulumi",
      // Also for a shell, and for a file that is wrong: it is what most stacks want.
      ...(opened && !services.some((service) => service.in === "host") ? [] : ["supervisord" as const]),
      ...(opened?.plan.network ? ["docker-plugin" as const] : []),
      ...services.flatMap((service) => service.tools),
    ]),
  ];
};

/** Images that the stack's containers run on, or are built on. */
function imagesOf({ services, imageBuilds }: StackPlan): readonly ImageName[] {
  const run = services.flatMap(({ container }) => (container?.image.from === "set-up" ? container.image.name : []));
  const kinds = new Set(imageBuilds.map(({ kind }) => kind));
  return [
    ...new Set<ImageName>([
      ...run,
      ...(kinds.has("python") ? ["python" as const] : []),
      ...(kinds.has("node") ? ["node" as const, "nginx" as const] : []),
    ]),
  ];
}

/** Models that set-up knows where to get, and that the stack looks for in the cache. */
function modelsOf(opened: Opened | undefined, { host }: Selected): readonly string[] {
  const wanted = (opened?.plan.services ?? []).flatMap(modelFilesOf).map(({ path }) => path);
  const cached = wanted.filter((path) => dirname(path) === join(host.cacheDir, "models")).map((path) => basename(path));
  return modelFiles.filter((file) => cached.includes(file));
}

/** Runs one of Pulumi's verbs, and ends with our exit code: 0, 1, or 130 when interrupted. */
export async function engine(
  verb: Verb,
  args: readonly string[],
  { target, setupSeconds }: Prepared,
): Promise<boolean> {
  await prepareEngine(target);
  const started = performance.now();
  const { exitCode, interrupted } = await runEngine(verb, args, target);
  const seconds = (performance.now() - started) / 1000;
  report(`set-up ${setupSeconds.toFixed(1)} s, ${verb} ${seconds.toFixed(1)} s`);
  process.exitCode = interrupted ? 130 : exitCode === 0 ? 0 : 1;
  return process.exitCode === 0;
}

/** Words after the verb that Pulumi understands and we need not. */
export const passArguments = (command: Command): Command =>
  command.argument("[pulumi arguments...]", "handed on to Pulumi").allowUnknownOption().allowExcessArguments();

/** Asks on the terminal; without one, only `--yes` is an answer. */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UserError("CONFIRMATION", `${question} expected an answer, got no terminal to ask on.`, {
      fix: "add --yes",
      exitCode: 2,
    });
  }
  const { createInterface } = await import("node:readline/promises");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new UserError("CONFIRMATION", "nothing was changed.");
  } finally {
    terminal.close();
  }
}
