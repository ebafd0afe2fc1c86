import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { chooseServices } from "#cli/choose.ts";
import { UserError } from "#cli/errors.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { report } from "#cli/options.ts";
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
      const files = chooseServices(names, plan).flatMap(logFilesOf);
      const prefix = prefixes(files);
      const stop = new AbortController();
      if (follow) process.once("SIGINT", () => stop.abort());
      const followers = follow ? files.map((file) => ({ file, log: new LogFollower(file.path) })) : [];
      const missing = files.filter((file, index) => {
        const found = lastLines(file.path, lines, followers[index]?.log.position);
        print(found ?? [], prefix(file));
        return found === undefined;
      });
      if (!follow && missing.length === files.length) throw nothingLogged(missing, plan.places.stack);
      for (const { service, path } of missing) report(`${service}: no log yet at ${path}`);
      if (follow) await printOn(followers, prefix, stop.signal);
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

/** Several services, or a service's two streams, are told apart by what stands before each line. */
function prefixes(files: readonly LogFile[]): (file: LogFile) => string {
  if (files.length === 1) return () => "";
  const label = ({ service, isErrorLog }: LogFile): string => (isErrorLog ? `${service} (stderr)` : service);
  const width = Math.max(...files.map((file) => label(file).length));
  return (file) => `${label(file).padEnd(width)} | `;
}

function print(lines: readonly string[], prefix: string): void {
  if (lines.length > 0) process.stdout.write(lines.map((line) => `${prefix}${line}\n`).join(""));
}

async function printOn(
  followers: readonly { readonly file: LogFile; readonly log: LogFollower }[],
  prefix: (file: LogFile) => string,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    for (const { file, log } of followers) print(log.poll(), prefix(file));
    await sleep(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
  }
  process.exitCode = INTERRUPTED;
}

function nothingLogged(missing: readonly LogFile[], stack: string): UserError {
  const paths = missing.map(({ path }) => path).join(", ");
  return new UserError("LOG_MISSING", `logs of stack ${stack}: expected ${paths}, got no such file.`, {
    fix: "./engineroom up writes them; ./engineroom status shows what runs",
  });
}
