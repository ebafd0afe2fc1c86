import { UserError } from "#cli/errors.ts";
import type { SetupContext } from "#setup/context.ts";
import { EngineError, followEngine, type EngineMessage } from "#setup/docker-api.ts";
import { isStandIn, type ImageName } from "#setup/image-references.ts";
import { hasImage } from "#setup/images/engine.ts";
import { seconds } from "#setup/models.ts";

/** Has the engine pull those that it does not have. */
export async function pullImages(
  context: SetupContext,
  host: string,
  references: Readonly<Partial<Record<ImageName, string>>>,
): Promise<void> {
  for (const [name, reference] of Object.entries(references) as [ImageName, string][]) {
    if (!(await hasImage(host, reference))) await pull(context, host, name, reference);
  }
}

async function pull(context: SetupContext, host: string, name: ImageName, reference: string): Promise<void> {
  const started = performance.now();
  const { repository, version } = partsOf(reference);
  const call = {
    method: "POST",
    path: "/images/create",
    query: { fromImage: repository, tag: version },
  } as const;
  try {
    await followEngine(host, call, progress(context, name));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new UserError(
      "SETUP_FAILED",
      `image ${name}: expected the engine to pull ${reference}, got: ${error.message}.`,
      {
        fix: `see that the engine reaches the registry (docker pull), or name a mirror by ENGINEROOM_REGISTRY${isStandIn(name) ? ", or set ENGINEROOM_IMAGES=packages" : ""}`,
      },
    );
  }
  context.report(`image ${name}: registry, ${seconds(started)} (${reference})`);
}

/** The digest decides where there is one: the engine would otherwise pull the tag. */
function partsOf(reference: string): { readonly repository: string; readonly version: string } {
  const [, repository = "", tag = "", digest] = /^(.+?):([^:/@]+)(?:@(.+))?$/.exec(reference) ?? [];
  return { repository, version: digest ?? tag };
}

/** At most one line in three seconds: what is there of all layers that have begun. */
function progress(context: SetupContext, name: string): (message: EngineMessage) => void {
  const layers = new Map<string, { readonly current: number; readonly total: number }>();
  let last = performance.now();
  return ({ id, status, progressDetail: { current, total } = {} }) => {
    if (id === undefined || status !== "Downloading" || current === undefined || total === undefined) return;
    layers.set(id, { current, total });
    if (performance.now() - last < 3_000) return;
    last = performance.now();
    const sum = (key: "current" | "total") => [...layers.values()].reduce((bytes, layer) => bytes + layer[key], 0);
    context.report(`image ${name}: ${megabytes(sum("current"))} of ${megabytes(sum("total"))} MB`);
  };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
