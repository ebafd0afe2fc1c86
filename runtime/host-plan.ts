import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { Tools } from "#setup/tools.ts";
import { SERVICE_USER, type HostPlaces, type StackPlaces } from "#stack/places.ts";
import { complaintsOf, type PlannedFile, type ReloadPlan, type ServicePlan } from "#stack/plan.ts";
import { doneFile } from "#stack/load.ts";
import { secretsIn, type Text } from "#stack/text.ts";

/** What the host makers need besides a service's plan. */
export interface HostContext {
  readonly host: HostPlaces;
  readonly places: StackPlaces;
  readonly tools: Tools;
}

/**
 * What runtime/apply.py carries out for one service, as its resource input. JSON without secrets: those come beside it
 * on standard input and fill the holes.
 */
export interface HostPlan extends Places {
  readonly service: string;
  readonly files: readonly PlannedFile[];
  readonly directories: readonly string[];
  /** Of logs that the stack file places itself: made where they are not there. */
  readonly logDirectories?: readonly string[];
  /** Removed with the service: the data that nobody wants kept. */
  readonly disposable?: readonly string[];
  /** Where it logs why it did not take the file. */
  readonly reload?: ReloadPlan & { readonly logFile: string };
  /** What runtime/launch.py turns itself into. */
  readonly launch: Launch;
  /** supervisord's program section; absent for a job. */
  readonly program?: string;
  readonly job?: {
    /** False: its failure holds nothing up. */
    readonly required: boolean;
    readonly timeoutMs: number;
    readonly logFile: string;
    readonly doneFile: string;
    /** Data id files of the services that the job works on, by service. */
    readonly data: Readonly<Record<string, string>>;
    /** What the job does besides its arguments: the content of its application. */
    readonly source?: string;
  };
}

interface Launch {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, Text>>;
  readonly gates: ServicePlan["gates"];
  readonly pidFile?: string;
}

/** Where apply.py finds the stack, and as whom it works. */
interface Places {
  readonly owner: string;
  readonly projectDir: string;
  readonly stackDir: string;
  readonly servicesDir: string;
  readonly logsDir: string;
  readonly dataDir: string;
  /** Notes of containers: a service that was one before has its port until that one is gone. */
  readonly containersDir: string;
  readonly runDir: string;
  readonly socket: string;
  /** Account to become; absent: stay the user that runs engineroom. */
  readonly account?: string;
}

function placesOf({ host, places }: HostContext): Places {
  return {
    owner: places.owner,
    projectDir: places.projectDir,
    stackDir: places.stackDir,
    servicesDir: places.servicesDir,
    logsDir: places.logsDir,
    dataDir: places.dataDir,
    containersDir: places.containersDir,
    runDir: places.runDir,
    socket: places.supervisorSocket,
    ...(host.asRoot && { account: SERVICE_USER }),
  };
}

export const serviceHome = (places: StackPlaces, service: string): string => `${places.servicesDir}/${service}`;

export function hostPlan(plan: ServicePlan, services: readonly ServicePlan[], context: HostContext): HostPlan {
  const { places } = context;
  const disposable = plan.dataKept ? [] : plan.directories.filter((path) => path.startsWith(`${places.dataDir}/`));
  return {
    ...placesOf(context),
    service: plan.name,
    files: plan.files,
    directories: plan.directories,
    ...logDirectories(plan, places),
    ...(disposable.length > 0 && { disposable }),
    ...(plan.reload && { reload: { ...plan.reload, logFile: complaintsOf(plan) } }),
    launch: {
      argv: plan.argv,
      cwd: plan.cwd,
      env: { ...baseEnv(plan, context), ...plan.env },
      gates: plan.gates,
      ...(plan.pidFile && { pidFile: plan.pidFile }),
    },
    ...(plan.run === "service"
      ? { program: programSection(plan, context) }
      : {
          job: {
            required: plan.required,
            timeoutMs: plan.readyTimeoutMs,
            logFile: plan.logFile,
            doneFile: doneFile(places, plan),
            data: dataOf(plan, services),
            ...(plan.build && { source: plan.build.key }),
          },
        }),
  };
}

/** Directories of logs that the stack file places itself. */
function logDirectories(plan: ServicePlan, { logsDir }: StackPlaces): Pick<HostPlan, "logDirectories"> {
  const found = [plan.logFile, plan.errorLog].flatMap((path) => (path === undefined ? [] : dirname(path)));
  const own = [...new Set(found)].filter((path) => path !== logsDir);
  return own.length > 0 ? { logDirectories: own } : {};
}

/** Data id files of the services that a job works on, by service. */
export const dataOf = (plan: ServicePlan, services: readonly ServicePlan[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    services
      .filter((service) => plan.needs.includes(service.name) && service.dataIdFile)
      .map((service) => [service.name, service.dataIdFile ?? ""] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Services see this and their own variables, nothing of the shell that ran `up`. */
function baseEnv(plan: ServicePlan, { places }: HostContext): Readonly<Record<string, Text>> {
  const own = plan.build && plan.build.kind !== "node" ? [`${plan.build.target}/.venv/bin`] : [];
  return {
    PATH: [[...own, "/usr/local/bin", "/usr/bin", "/bin"].join(":")],
    HOME: [serviceHome(places, plan.name)],
    LANG: ["C.UTF-8"],
    PYTHONUNBUFFERED: ["1"],
    ENGINEROOM_STACK: [places.stack],
    ENGINEROOM_SERVICE: [plan.name],
  };
}

/** Exit code of launch.py when a program has crashed too often in a row (EX_CONFIG of sysexits.h). */
export const GAVE_UP = 78;

/** Nothing a user writes gets in here but paths: `%` expands in this file, and a stray one breaks every program. */
function programSection(plan: ServicePlan, { places, tools }: HostContext): string {
  const python = tools.python?.path ?? "python3";
  const command = [python, "-S", "-E", "-s", `${places.stackDir}/launch.py`, serviceHome(places, plan.name)];
  const exitCodes = { always: `${GAVE_UP}`, "on-failure": `0,${GAVE_UP}`, no: "0" }[plan.restart];
  const lines = [
    `[program:${plan.name}]`,
    `command=${command.map(quoted).join(" ")}`,
    "directory=/",
    "umask=077",
    `autorestart=${plan.restart === "no" ? "false" : "unexpected"}`,
    `exitcodes=${exitCodes}`,
    // launch.py counts starts and backs off; supervisord's own retries know nothing of waiting for a dependency.
    "startsecs=0",
    "startretries=0",
    `stopsignal=${plan.stopSignal}`,
    `stopwaitsecs=${Math.ceil(plan.stopGraceMs / 1000)}`,
    `stopasgroup=${!plan.drains}`,
    "killasgroup=true",
    `stdout_logfile=${logFile(plan.logFile)}`,
    "stdout_logfile_maxbytes=10MB",
    "stdout_logfile_backups=3",
    ...(plan.errorLog
      ? [`stderr_logfile=${logFile(plan.errorLog)}`, "stderr_logfile_maxbytes=10MB", "stderr_logfile_backups=3"]
      : ["redirect_stderr=true"]),
  ];
  return `${lines.join("\n")}\n`;
}

const escaped = (text: string): string => text.replaceAll("%", "%%");
/** supervisord expands the names of log files twice. */
const logFile = (path: string): string => escaped(escaped(path));
/** A word of `command`, which is divided as a shell would and expands nothing. */
const quoted = (word: string): string => `"${escaped(word.replaceAll(/["\\]/g, "\\$&"))}"`;

/** supervisord's own settings, and where its parts go. */
export interface SupervisorPlan extends Places {
  readonly python: string;
  readonly supervisord: string;
  readonly config: string;
  /** Content of launch.py, copied so that the service account can read it. */
  readonly launcher: string;
}

export function supervisorPlan(context: HostContext, launcher: string): SupervisorPlan {
  const { places, tools } = context;
  // The path of [include] is divided at spaces, and without a directory it is relative to this file.
  const config = `[supervisord]
identifier=${escaped(places.owner)}
logfile=${escaped(places.stackDir)}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=${escaped(places.runDir)}/supervisord.pid
childlogdir=${escaped(places.logsDir)}
umask=077
[unix_http_server]
file=${escaped(places.supervisorSocket)}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files=programs/*.conf
`;
  return {
    ...placesOf(context),
    python: tools.python?.path ?? "python3",
    supervisord: tools.supervisord?.path ?? "supervisord",
    config,
    launcher,
  };
}

export const planText = (plan: HostPlan | SupervisorPlan): string => JSON.stringify(plan);

export const planHash = (plan: HostPlan | SupervisorPlan): string =>
  createHash("sha256").update(planText(plan)).digest("hex");

/** Secrets that fill the plan's holes. */
export const secretNames = (plan: HostPlan): readonly string[] => [
  ...new Set([...plan.files.map((file) => file.content), ...Object.values(plan.launch.env)].flatMap(secretsIn)),
];
