import type { Command } from "commander";
import { selectStack } from "#cli/open.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { setUpDocker, type DockerParts } from "#setup/docker-parts.ts";
import { modelFiles } from "#setup/models.ts";
import { ensurePassphrase } from "#setup/passphrase.ts";
import { setUp, setUpModel } from "#setup/setup.ts";
import { type Tool, type Tools, toolNames } from "#setup/tools.ts";

export function define(command: Command): void {
  command
    .option("--docker", "get what containers need too: an engine, where root can install one, and images")
    .action(async ({ docker }: { readonly docker?: true }) => {
      const { env } = process;
      const { install } = globalOptions(command);
      const options = { install, projectDir, report, env };
      const tools = await setUp({ parts: "all", ...options });
      const models = await Promise.all(modelFiles.map((file) => setUpModel(file, options)));
      ensurePassphrase(selectStack(command).places, env);
      const parts = docker ? await setUpDocker(options) : undefined;
      const rows = [
        ...toolRows(parts?.tools ?? tools),
        ...models.map((path) => ["model", "", "", path]),
        ...(parts ? containerRows(parts) : []),
      ];
      process.stdout.write(table(rows));
    });
}

function containerRows({ engine, images }: DockerParts): readonly (readonly string[])[] {
  const references = Object.entries(images.references);
  return [
    ["docker", engine.version, "host", engine.host],
    ...references.map(([name, reference]) => [`image ${name}`, "", images.source, reference]),
  ];
}

function toolRows(tools: Tools): readonly (readonly string[])[] {
  const rows = toolNames.map((name) => [name, tools[name]] as const);
  return rows.filter((row): row is readonly [(typeof row)[0], Tool] => row[1] !== undefined).map(toRow);
}

function toRow([name, tool]: readonly [string, Tool]): readonly string[] {
  return [name, tool.version, tool.source, tool.path];
}

function table(rows: readonly (readonly string[])[]): string {
  const all = [["part", "version", "source", "path"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}
