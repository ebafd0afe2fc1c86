import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { errorJson, exitCodeOf, explainError, UserError } from "#cli/errors.ts";
import { projectDir, report } from "#cli/options.ts";

/** One command: its line in the help, and the file that defines its options and does it. */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly define: (command: Command) => void }>;
}

/** Runs the command that the arguments name; only its file is loaded. Never throws. */
export async function runProgram(
  commands: Readonly<Record<string, CommandEntry>>,
  args: readonly string[],
): Promise<number> {
  const json = args.includes("--json");
  endWithReader();
  try {
    refuseNamelessUser();
    const program = newProgram(json);
    for (const [name, { summary, load }] of Object.entries(commands)) {
      const command = program.command(name).description(summary);
      if (args.includes(name)) (await load()).define(command);
    }
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return endOfCommander(error, json);
    if (json) process.stdout.write(`${errorJson(error)}\n`);
    else report(explainError(error));
    return exitCodeOf(error);
  }
}

/** Commander has printed the help, or what is wrong, already; its code for that is 1. */
function endOfCommander({ exitCode, message }: CommanderError, json: boolean): number {
  if (exitCode === 0) return 0;
  const problem = new UserError("USAGE", message.replace(/^error: /, ""), { fix: "./engineroom --help" });
  if (json) process.stdout.write(`${errorJson(problem)}\n`);
  return 2;
}

/** Who reads our output may have read enough, as `head` does. */
function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

/** Postgres, among others, starts only for a user with a name. */
function refuseNamelessUser(): void {
  try {
    userInfo();
  } catch {
    throw new UserError("NO_USER", `user: expected a passwd entry for uid ${process.getuid?.() ?? "?"}, got none.`, {
      fix: "run it as a user of this machine (in a container: add the uid to /etc/passwd)",
      exitCode: 2,
    });
  }
}

function newProgram(json: boolean): Command {
  const program = new Command("engineroom")
    .description("Brings up, proves, repairs and takes down a self-hosted AI stack with Pulumi.")
    .version(versionOfProject())
    .option("-s, --stack <name>", "the stack; otherwise the one selected last, otherwise local")
    .option("--no-install", "install nothing: what is missing is an error that names it")
    .exitOverride();
  return json ? program.configureOutput({ writeErr: () => undefined }) : program;
}

function versionOfProject(): string {
  const manifest = JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as { readonly version: string };
  return manifest.version;
}
