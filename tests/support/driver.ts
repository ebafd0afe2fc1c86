import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { identityOf, type Identity } from "./processes.ts";
import type { Ended, TestStack } from "./test-stack.ts";

export type Verb = "up" | "preview" | "destroy" | "refresh";

/** One way to work on a stack. Every step of the end-to-end tests runs over each. */
export interface Driver {
  readonly name: string;
  readonly run: (stack: TestStack, verb: Verb, ...args: readonly string[]) => Promise<Ended>;
  /** The same command as an argument list, for those who start it themselves. */
  readonly argv: (stack: TestStack, verb: Verb, ...args: readonly string[]) => readonly string[];
}

const engineroomArgs: Readonly<Record<Verb, readonly string[]>> = {
  up: ["--yes"],
  preview: [],
  destroy: ["--yes"],
  refresh: [],
};

/** `./engineroom --stack NAME VERB` */
export const engineroom: Driver = {
  name: "./engineroom",
  argv: (stack, verb, ...args) => ["./engineroom", "--stack", stack.name, verb, ...engineroomArgs[verb], ...args],
  run: (stack, verb, ...args) => stack.run(engineroom.argv(stack, verb, ...args)),
};

const pulumiArgs: Readonly<Record<Verb, readonly string[]>> = {
  up: ["--yes", "--skip-preview"],
  preview: [],
  destroy: ["--yes", "--skip-preview"],
  refresh: ["--yes", "--skip-preview"],
};

/** As people prepare a shell, which is then left to Pulumi. */
const PREPARED = 'eval "$(./engineroom --stack "$1" env)" || exit; shift; exec pulumi "$@"';

/** Plain `pulumi VERB` in a shell that \`eval "$(./engineroom env)"\` prepared. */
export const pulumi: Driver = {
  name: "plain pulumi",
  argv: (stack, verb, ...args) => preparedPulumi(stack, verb, ...pulumiArgs[verb], ...args),
  run: (stack, verb, ...args) => stack.run(pulumi.argv(stack, verb, ...args)),
};

export const drivers: readonly Driver[] = [engineroom, pulumi];

/** Any other command of Pulumi on the stack, through a prepared shell. */
export const pulumiCommand = (stack: TestStack, ...args: readonly string[]): Promise<Ended> =>
  stack.run(preparedPulumi(stack, ...args));

export const preparedPulumi = (stack: TestStack, ...args: readonly string[]): readonly string[] => [
  "/bin/sh",
  "-c",
  PREPARED,
  "sh",
  stack.name,
  ...args,
];

/** A command that runs while the test goes on, as a shell would start it: in a process group of its own. */
export interface Running extends AsyncDisposable {
  readonly process: Identity;
  /** What it has printed so far. */
  readonly output: () => string;
  /** To its whole process group, as a terminal does it. */
  readonly interrupt: () => void;
  readonly ended: Promise<Ended & { readonly seconds: number }>;
}

export async function start(
  driver: Driver,
  stack: TestStack,
  verb: Verb,
  ...args: readonly string[]
): Promise<Running> {
  const [program = "", ...rest] = driver.argv(stack, verb, ...args);
  const child = spawn(program, rest, {
    cwd: stack.checkout.dir,
    env: stack.checkout.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const began = performance.now();
  let output = "";
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  // Not `close`: a killed command may leave children that hold its pipes.
  const ended = once(child, "exit").then(() => ({
    exitCode: child.exitCode ?? undefined,
    stdout: "",
    output,
    seconds: (performance.now() - began) / 1000,
  }));
  await once(child, "spawn");
  const identity = identityOf(child.pid ?? 0);
  if (identity === undefined) throw new Error(`${program} ended at once: ${output}`);
  const interrupt = () => void process.kill(-identity.pid, "SIGINT");
  return {
    process: identity,
    output: () => output,
    interrupt,
    ended,
    [Symbol.asyncDispose]: () => end(child, ended),
  };
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGINT");
  await ended;
}
