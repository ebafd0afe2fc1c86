import { type CommandEntry, runProgram } from "#cli/program.ts";

const commands: Readonly<Record<string, CommandEntry>> = {
  setup: {
    summary: "get every part that is missing, and say where each came from",
    load: () => import("#cli/setup.ts"),
  },
  env: { summary: "print the shell lines that plain pulumi needs", load: () => import("#cli/env.ts") },
};

process.exitCode = await runProgram(commands, process.argv.slice(2));
