import { lstatSync } from "node:fs";
import { join } from "node:path";
import { noteSha256 } from "#checks/file-facts.ts";
import { UserError } from "#cli/errors.ts";
import { downloadLarge, type LargeFile } from "#setup/resume.ts";
import { prepared, type SetupOptions } from "#setup/setup.ts";
import { modelFilesOf, type ModelDownload, type ModelPlan, type StackPlan } from "#stack/plan.ts";
import { readText } from "#observe/records.ts";

type Options = Omit<SetupOptions, "parts">;

/** Files of models that a stack's services use, that are not there, and that set-up can get. */
export function missingDownloads({ services }: StackPlan): readonly (readonly [ModelPlan, ModelDownload])[] {
  const models = new Map(services.flatMap(modelFilesOf).map((model) => [model.name, model]));
  return [...models.values()].flatMap((model) =>
    (model.source?.downloads ?? []).filter(({ path }) => !isThere(path)).map((download) => [model, download] as const),
  );
}

/** Gets them, one after the other. Safe to run at the same time as itself. */
export async function fetchModels(plan: StackPlan, options: Options): Promise<void> {
  const [first] = missingDownloads(plan);
  if (first === undefined) return;
  if (!options.install) {
    throw new UserError("SETUP_MISSING", `model ${first[0].name}: expected it at ${first[1].path}, got no such file.`, {
      fix: "./engineroom models fetch",
      exitCode: 2,
    });
  }
  await prepared(options, "model", async ({ cacheDir, env, report }) => {
    // Another set-up may have got them meanwhile.
    for (const [model, download] of missingDownloads(plan)) {
      const started = performance.now();
      const file = largeFile(model, download, { plan, env });
      report(`${file.name}: downloading to ${file.path}`);
      const sha256 = await downloadLarge(file, { report });
      await noteSha256(file.path, sha256, join(cacheDir, "model-hashes.json"));
      report(`${file.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
  });
}

const HUB = "https://huggingface.co";

function largeFile(
  model: ModelPlan,
  { path, from, sha256 }: ModelDownload,
  { plan, env }: { readonly plan: StackPlan; readonly env: NodeJS.ProcessEnv },
): LargeFile {
  const common = { name: `model ${model.name}`, path, ...(sha256 && { sha256 }) };
  if ("url" in from) return { ...common, url: from.url };
  const hub = (env["HF_ENDPOINT"] || HUB).replace(/\/+$/, "");
  const token = tokenOf(model, plan, env);
  const page = `${hub}/${from.repo}`;
  return {
    ...common,
    name: path === model.path ? common.name : `${common.name} (${from.file})`,
    url: `${page}/resolve/${from.revision}/${from.file}`,
    ...(token !== undefined && { token }),
    onRefused:
      token === undefined
        ? `correct its repo, file and revision; one that is not open to all takes a token: export HF_TOKEN=…, after its terms were accepted at ${page}`
        : `correct its repo, file and revision; see that the token may read it, and that its terms were accepted at ${page}`,
  };
}

/** Pulumi alone can decrypt a secret of the stack file, and it does so later. */
function tokenOf({ name, source }: ModelPlan, { secrets }: StackPlan, env: NodeJS.ProcessEnv): string | undefined {
  if (source?.token === undefined) return env["HF_TOKEN"] || undefined;
  const secret = secrets[source.token];
  switch (secret?.from) {
    case "env":
      return env[secret.variable] || undefined;
    case "file":
      return readText(secret.path)?.trim() || undefined;
    case "config":
    case "generate":
    case "envFile":
    case undefined:
      throw new UserError(
        "MODEL_SOURCE",
        `model ${name}: expected the secret ${source.token} to come from a variable or a file, got another kind.`,
        { fix: `set engineroom:secrets.${source.token} to { env: HF_TOKEN } or { file: … }` },
      );
  }
}

/** A link that leads nowhere is there, too: whoever made it knows why. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
