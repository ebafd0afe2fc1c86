import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa, type Options } from "execa";
import { stringify } from "yaml";
import { listenersOn } from "#checks/ports.ts";
import { LABEL } from "#observe/docker.ts";
import { programStates, identification } from "#observe/supervisord.ts";
import { supervisorPlan } from "#runtime/host-plan.ts";
import { readTools } from "#setup/tools.ts";
import { filesDir } from "#stack/containers.ts";
import { hostPlaces, projectPlaces, stackPlaces, type StackPlaces } from "#stack/places.ts";
import type { Checkout } from "./checkout.ts";
import { noDocker } from "./docker.ts";
import { containersOf, holdings, NOTHING, removeHoldings, type Holdings, type Inspected } from "./engine.ts";
import { allProcesses, identityOf, type Identity, type Process } from "./processes.ts";

/** Sections of a stack file, as it has them. */
export interface Sections {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly models?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, unknown>>;
  readonly services: Readonly<Record<string, object>>;
}

/** How a command ended. */
export interface Ended {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** Both streams as they came, without colours. */
  readonly output: string;
}

/** A stack of its own: name, places and file; taken down by proof when it is disposed of. */
export interface TestStack extends AsyncDisposable {
  readonly name: string;
  readonly checkout: Checkout;
  readonly places: StackPlaces;
  readonly file: string;
  /** Writes the stack file anew; a salt that Pulumi has put there goes with it. */
  readonly write: (sections: Sections) => void;
  /** Runs a program in the checkout. */
  readonly run: (argv: readonly string[], options?: Options) => Promise<Ended>;
  /** Each service's first process, by service, as supervisord tells. */
  readonly pids: () => Promise<Readonly<Record<string, Identity>>>;
  readonly supervisor: () => Promise<Identity>;
  /** Everything that services and supervisord of this stack have started on this host and that lives. */
  readonly processes: () => readonly Process[];
  /** Containers by service, stopped ones too. */
  readonly containers: () => Promise<Readonly<Record<string, Inspected>>>;
  /** What runs, by service, wherever it runs; another text is another start of it. */
  readonly running: () => Promise<Readonly<Record<string, string>>>;
  /** What the engine has of this stack. */
  readonly holdings: () => Promise<Holdings>;
  /** Of a service that has one, as its own files have it. */
  readonly password: (service: string) => string;
}

const LIMIT_MS = 180_000;

export function testStack(checkout: Checkout, purpose: string, sections: Sections): TestStack {
  const name = `e2e-${purpose}-${process.pid}`;
  const places = placesIn(checkout, name);
  const file = join(checkout.dir, `Pulumi.${name}.yaml`);
  const write = (wanted: Sections) => writeFileSync(file, stackFile(wanted));
  write(sections);
  return {
    name,
    checkout,
    places,
    file,
    write,
    run: (argv, options) => runIn(checkout, argv, options),
    pids: () => pidsOf(places),
    supervisor: () => supervisorOf(places),
    processes: () => processesOf(places),
    containers: () => containersOf(places.owner),
    running: () => runningOf(places),
    holdings: () => holdingsOf(places),
    password: (service) => readFileSync(passwordFile(places, service), "utf8"),
    [Symbol.asyncDispose]: async () => {
      takeDown(places, checkout.env);
      await removeHoldings(isOf(places));
    },
  };
}

const isOf =
  ({ owner }: StackPlaces) =>
  (labels: Readonly<Record<string, string>>): boolean =>
    labels[LABEL.owner] === owner;

const holdingsOf = (places: StackPlaces): Promise<Holdings> =>
  noDocker === undefined ? holdings(isOf(places)) : Promise.resolve(NOTHING);

export function passwordFile(places: StackPlaces, service: string): string {
  const inContainer = join(filesDir(places, service), "password");
  return existsSync(inContainer) ? inContainer : join(places.servicesDir, service, "password");
}

async function runningOf(places: StackPlaces): Promise<Readonly<Record<string, string>>> {
  const programs = existsSync(places.supervisorSocket) ? await pidsOf(places) : {};
  const containers = noDocker === undefined ? await containersOf(places.owner) : {};
  return Object.fromEntries([
    ...Object.entries(programs).map(([name, { pid, startTime }]) => [name, `${pid} ${startTime}`] as const),
    ...Object.entries(containers)
      .filter(([, { State }]) => State.Status === "running")
      .map(([name, { Id, State }]) => [name, `${Id} ${State.StartedAt}`] as const),
  ]);
}

/** The file of a stack; a section that is absent is not in it. */
export const stackFile = (sections: Sections): string =>
  stringify(
    {
      config: Object.fromEntries(
        Object.entries(sections).map(([key, value]) => [`engineroom:${key}`, value as unknown]),
      ),
    },
    // Pulumi's own rewriting of the file mistakes some folded texts.
    { lineWidth: 0 },
  );

export function placesIn(checkout: Pick<Checkout, "dir" | "env">, stack: string): StackPlaces {
  const host = hostPlaces(checkout.env, process.getuid?.() ?? 0);
  return stackPlaces(host, projectPlaces(host, checkout.dir), stack);
}

export async function runIn(checkout: Checkout, argv: readonly string[], options: Options = {}): Promise<Ended> {
  const [program = "", ...args] = argv;
  const ended = await execa(program, args, {
    cwd: checkout.dir,
    env: checkout.env,
    extendEnv: false,
    stdin: "ignore",
    timeout: LIMIT_MS,
    ...options,
    reject: false,
    all: true,
  });
  return { exitCode: ended.exitCode, stdout: String(ended.stdout), output: String(ended.all) };
}

async function pidsOf(places: StackPlaces): Promise<Readonly<Record<string, Identity>>> {
  const states = await programStates(places.supervisorSocket);
  return Object.fromEntries(
    states.flatMap(({ name, pid }) => {
      const identity = pid > 0 ? identityOf(pid) : undefined;
      return identity === undefined ? [] : [[name, identity]];
    }),
  );
}

/** By the PID file that it writes; its socket must answer with our owner id. */
async function supervisorOf(places: StackPlaces): Promise<Identity> {
  const owner = await identification(places.supervisorSocket);
  const identity = identityOf(Number(readFileSync(join(places.runDir, "supervisord.pid"), "utf8")));
  if (owner !== places.owner || identity === undefined) throw new Error(`no supervisord of ${places.owner}`);
  return identity;
}

/**
 * supervisord carries the owner alone, its programs carry a token of the start beside it. nginx and Valkey overwrite
 * their environment; but everything works in a directory of the stack.
 */
function processesOf({ owner, stackDir }: StackPlaces): readonly Process[] {
  const own = `ENGINEROOM_INSTANCE=${owner}`;
  return allProcesses().filter(
    ({ env, cwd }) => cwd.startsWith(`${stackDir}/`) || env.some((one) => one === own || one.startsWith(`${own} `)),
  );
}

/** Ends a stack's processes as `destroy` would, by apply.py's own proof, also where nothing of its state is left. */
export function takeDown(places: StackPlaces, env: Readonly<Record<string, string | undefined>>): void {
  if (!existsSync(places.stackDir)) return;
  const host = hostPlaces(env, process.getuid?.() ?? 0);
  const tools = readTools(host.cacheDir);
  const plan = supervisorPlan({ host, places, tools }, "");
  execFileSync(plan.python, ["-S", "-E", "-s", "-B", "runtime/apply.py", "supervisor", "stop"], {
    cwd: join(import.meta.dirname, "../.."),
    env: { PLAN: JSON.stringify(plan) },
    stdio: ["ignore", "ignore", "inherit"],
    timeout: LIMIT_MS,
  });
  rmSync(places.stackDir, { recursive: true, force: true });
}

/** PIDs that listen on a port of this host. */
export async function listeners(port: number): Promise<readonly number[]> {
  const found = await listenersOn([{ host: "127.0.0.1", port }]);
  return (found.get(port) ?? []).flatMap(({ process: owner }) => owner?.pid ?? []);
}
