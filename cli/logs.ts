import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { chooseServices } from "#cli/choose.ts";
import { UserError } from "#cli/errors.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { report } from "#cli/options.ts";
import { followContainerLog } from "#observe/container-log.ts";
import { lastLines, LogFollower, logFilesOf, type LogFile } from "#operations/logs.ts";

const DEFAULT_LINES = 50;
const LOOK_EVERY_MS = 200;
/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

interface Options {
  readonly follow?: true;
  readonly lines: number;
}

export function define(command: Command): void {
  command
    .argument("[services...]", "whose logs; all without any")
    .option("-f, --follow", "go on with what is written from now on, until Ctrl-C")
    .option("-n, --lines <count>", "how many of the last lines of each", wholeNumber, DEFAULT_LINES)
    .action(async (names: readonly string[], { follow, lines }: Options) => {
      const { plan } = openSelected(selectStack(command));
      const chosen = chooseServices(names, plan);
      const files = chosen.flatMap((service) => (service.in === "host" ? logFilesOf(service) : []));
      const containers = chosen.flatMap(({ name, container }) => (container ? [{ name, id: container.name }] : []));
      const elsewhere = chosen.flatMap(({ name, external }) =>
        external ? [`${name}: somebody else runs it (${external.host}:${external.port}), and has its log`] : [],
      );
      const prefix = prefixes([...files.map(labelOf), ...containers.map(({ name }) => name)]);
      const stop = new AbortController();
      if (follow) process.once("SIGINT", () => stop.abort());
      const streams = containers.map(async ({ name, id }) => {
        const options = { lines, follow: follow === true, signal: stop.signal };
        // One after the other where nothing more comes, so that the lines of each stay together.
        const kept: string[] = [];
        const take = (line: string): void => {
          if (follow) print([line], prefix(name));
          else kept.push(line);
        };
        const trouble = await followContainerLog(id, options, take).then(
          () => undefined,
          (error: unknown) => `${name}: no log yet: ${(error as Error).message}`,
        );
        print(kept, prefix(name));
        return trouble;
      });
      const followers = follow ? files.map((file) => ({ file, log: new LogFollower(file.path) })) : [];
      const silent = files.flatMap((file, index) => {
        const found = lastLines(file.path, lines, followers[index]?.log.position);
        print(found ?? [], prefix(labelOf(file)));
        return found === undefined ? [`${file.service}: no log yet at ${file.path}`] : [];
      });
      if (follow) {
        for (const line of [...silent, ...elsewhere]) report(line);
        await Promise.all([printOn(followers, prefix, stop.signal), ...streams]);
        return;
      }
      const all = [...silent, ...(await Promise.all(streams)).flatMap((line) => line ?? []), ...elsewhere];
      if (all.length === files.length + containers.length + elsewhere.length)
        throw nothingLogged(all, plan.places.stack);
      for (const line of all) report(line);
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

const labelOf = ({ service, isErrorLog }: LogFile): string => (isErrorLog ? `${service} (stderr)` : service);

/** Several services, or a service's two streams, are told apart by what stands before each line. */
function prefixes(labels: readonly string[]): (label: string) => string {
  if (labels.length === 1) return () => "";
  const width = Math.max(...labels.map((label) => label.length));
  return (label) => `${label.padEnd(width)} | `;
}

function print(lines: readonly string[], prefix: string): void {
  if (lines.length > 0) process.stdout.write(lines.map((line) => `${prefix}${line}\n`).join(""));
}

async function printOn(
  followers: readonly { readonly file: LogFile; readonly log: LogFollower }[],
  prefix: (label: string) => string,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    for (const { file, log } of followers) print(log.poll(), prefix(labelOf(file)));
    await sleep(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
  }
  process.exitCode = INTERRUPTED;
}

function nothingLogged(reasons: readonly string[], stack: string): UserError {
  return new UserError("LOG_MISSING", `logs of stack ${stack}: expected some, got ${reasons.join("; ")}.`, {
    fix: "./engineroom up writes them; ./engineroom status shows what runs",
  });
}
