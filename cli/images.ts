import type { Command } from "commander";
import { UserError } from "#cli/errors.ts";
import { table } from "#cli/table.ts";
import { requireEngine } from "#setup/docker.ts";
import { readImages } from "#setup/image-references.ts";
import { inspectImage } from "#setup/images/engine.ts";
import { lockFile, relocked } from "#setup/images/lock.ts";
import { hostPlaces } from "#stack/places.ts";

export function define(command: Command): void {
  command.option("--json", "print one JSON object, and nothing else").action(list);
  command
    .command("lock")
    .description("ask the registries for the digest of every tag, and write setup/images/lock.json anew")
    .action(lock);
}

interface Row {
  readonly name: string;
  readonly reference: string;
  readonly source: string;
  /** Null where the engine does not have it. */
  readonly sizeBytes: number | null;
}

async function list({ json }: { readonly json?: true }): Promise<void> {
  const { host } = await requireEngine(process.env);
  const images = readImages(hostPlaces(process.env, process.getuid?.() ?? 0).cacheDir);
  if (images === undefined) {
    throw new UserError("SETUP_MISSING", "images: expected set-up to have chosen them, got none.", {
      fix: "./engineroom setup --docker",
    });
  }
  const { source, references } = images;
  const rows = await Promise.all(
    Object.entries(references).map(async ([name, reference]): Promise<Row> => {
      const found = await inspectImage(host, reference);
      return { name, reference, source, sizeBytes: found?.Size ?? null };
    }),
  );
  process.stdout.write(json ? `${JSON.stringify({ source, images: rows })}\n` : imagesTable(rows));
  process.exitCode = rows.every(({ sizeBytes }) => sizeBytes !== null) ? 0 : 1;
}

const imagesTable = (rows: readonly Row[]): string =>
  table(
    [["name", "source", "size", "reference"], ...rows.map((row) => [row.name, row.source, sizeOf(row), row.reference])],
    false,
  );

const sizeOf = ({ sizeBytes }: Row): string => (sizeBytes === null ? "missing" : `${(sizeBytes / 1e6).toFixed(0)} MB`);

async function lock(): Promise<void> {
  const changes = await relocked({ file: lockFile, mirror: process.env["ENGINEROOM_REGISTRY"] });
  const lines = changes.map(({ name, before, now }) =>
    before === now ? `${name}: unchanged (${now})\n` : `${name}: ${before ?? "by tag"} -> ${now}\n`,
  );
  process.stdout.write(lines.join(""));
}
