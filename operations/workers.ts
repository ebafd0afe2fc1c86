import { join } from "node:path";
import { heartbeatsOf, waitsForTask, type Heartbeat } from "#checks/celery-worker.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { parseClients, type BrokerClient } from "#checks/connections.ts";
import { dispatches } from "#checks/dramatiq-worker.ts";
import { askRedis } from "#checks/redis.ts";
import { registeredWorkers, takesJobs, type RqWorker } from "#checks/rq-worker.ts";
import { RELAY } from "#components/relay.ts";
import { holdersOf, runningContainers, type RunningContainer } from "#observe/holders.ts";
import { programStates } from "#observe/supervisord.ts";
import { lookAround, type Opened } from "#observe/world.ts";
import { SERVICE_USER } from "#stack/places.ts";
import type { ServicePlan } from "#stack/plan.ts";
import {
  frameworkOfKind,
  judgeBroker,
  type BrokerVerdict,
  type Consumer,
  type Framework,
  type Verdict,
} from "./judge-workers.ts";
import { consumerOf, programsOf, sceneOf, type Program, type Scene } from "./programs.ts";

/** Who takes work from the brokers of a stack: what `workers --json` prints. */
export interface WorkersAudit {
  readonly stack: string;
  readonly verdict: Verdict;
  readonly brokers: readonly BrokerAudit[];
}

export interface BrokerAudit extends BrokerVerdict {
  readonly service: string;
  /** Where this host reaches it. */
  readonly address: string;
  readonly consumers: readonly Consumer[];
}

const ATTEMPT_MS = 5000;

export async function auditWorkers(opened: Opened): Promise<WorkersAudit> {
  const world = await lookAround(opened);
  const containers = opened.plan.network ? await runningContainers(opened.engineHost) : [];
  const scene = await sceneOf(world, containers);
  const brokers = await Promise.all(
    opened.plan.services.flatMap((service) => {
      const { check } = service;
      return check?.kind === "redis" && check.policy === "noeviction"
        ? auditBroker({ service, check, containers }, scene)
        : [];
    }),
  );
  return { stack: opened.plan.places.stack, verdict: worstOf(brokers), brokers };
}

const ORDER: readonly Verdict[] = ["good", "warning", "critical", "unknown"];

const worstOf = (audits: readonly BrokerAudit[]): Verdict =>
  ORDER[Math.max(0, ...audits.map(({ verdict }) => ORDER.indexOf(verdict)))] ?? "unknown";

interface Broker {
  readonly service: ServicePlan;
  readonly check: CheckOf<"redis">;
  /** All that run. */
  readonly containers: readonly RunningContainer[];
}

async function auditBroker({ service, check, containers }: Broker, scene: Scene): Promise<BrokerAudit> {
  const { plan, seen } = scene.world;
  const declared = plan.services.filter(({ consumes }) => consumes?.broker === service.name);
  const place = { service: service.name, address: `${check.host}:${check.port}` };
  const asked = await registriesOf(check);
  if ("outcome" in asked) return { ...place, ...silent(declared, asked.outcome), consumers: [] };
  const held = holdersOf(
    {
      port: check.port,
      innerPort: service.container?.internalPorts[0] ?? check.port,
      clients: asked.clients,
      containerId: seen.services.get(service.name)?.container?.id,
      relay: [...scene.services].flatMap(([pid, name]) => (name === RELAY ? [pid] : [])),
    },
    containers,
  );
  const programs = programsOf(held.connections, scene).map((program) => {
    const consumer = consumerOf(program, scene);
    const kind = declared.find(({ name }) => consumer.owner !== "foreign" && name === consumer.service)?.kind;
    return { program, consumer, declared: kind === undefined ? undefined : frameworkOfKind(kind) };
  });
  const hidden = {
    registered: unclaimed(asked, programs),
    dispatches: held.between.some(dispatches),
  };
  const consumers = programs.flatMap((one) => consumersIn(one, asked, hidden));
  const judged = judgeBroker({ declared, consumers, sharedNames: sharedNames(asked.heartbeats) });
  return { ...place, ...judged, consumers };
}

function silent(declared: readonly ServicePlan[], outcome: Outcome): BrokerVerdict {
  const { expected } = judgeBroker({ declared, consumers: [], sharedNames: [] });
  const reason = outcome.status === "ready" ? outcome.detail : outcome.reason;
  return { verdict: "unknown", reasons: [reason], processes: 0, expected };
}

/** What a broker tells of those that use it. */
interface Registries {
  readonly clients: readonly BrokerClient[];
  readonly rq: readonly RqWorker[];
  /** Answers of Celery's nodes, one from each. */
  readonly heartbeats: readonly Heartbeat[];
}

async function registriesOf(check: CheckOf<"redis">): Promise<Registries | { readonly outcome: Outcome }> {
  const signal = AbortSignal.timeout(ATTEMPT_MS);
  const answer = await askRedis(check, signal, [["CLIENT", "LIST"]]);
  if ("outcome" in answer) return answer;
  const [list] = answer.replies;
  const clients = parseClients(typeof list === "string" ? list : "");
  const databases = [...new Set(clients.filter(takesJobs).map(({ database }) => database))];
  const registered = await Promise.all(databases.map((database) => registeredWorkers({ ...check, database }, signal)));
  const consumers = clients.filter(waitsForTask);
  const nodes = consumers.length;
  const heard =
    nodes === 0
      ? { heartbeats: [] }
      : await heartbeatsOf({ place: check, consumers, signal }, (all) => all.filter(isAnswer).length >= nodes);
  return {
    clients,
    rq: registered.flatMap((one) => ("workers" in one ? one.workers : [])),
    heartbeats: "heartbeats" in heard ? heard.heartbeats : [],
  };
}

/** Unlike its regular beat, which tells how much it works. */
const isAnswer = ({ active }: Heartbeat): boolean => active === undefined;

/** Each node answers once. */
const sharedNames = (heartbeats: readonly Heartbeat[]): readonly string[] =>
  [...Map.groupBy(heartbeats.filter(isAnswer), ({ nodename }) => nodename)].flatMap(([name, all]) =>
    all.length > 1 ? [name] : [],
  );

interface Candidate {
  readonly program: Program;
  readonly consumer: Omit<Consumer, "framework">;
  /** By its kind, where it is a declared worker of this broker. */
  readonly declared: Framework | undefined;
}

/** What is known of those whose connections a proxy hides. */
interface Hidden {
  /** PIDs under which workers have registered, without those of the declared ones. */
  readonly registered: Readonly<Record<"celery" | "rq", readonly number[]>>;
  /** Somebody behind a proxy runs Dramatiq's script. */
  readonly dispatches: boolean;
}

/** In containers many programs have the same PID, so each declared worker takes one away. */
function unclaimed({ rq, heartbeats }: Registries, candidates: readonly Candidate[]): Hidden["registered"] {
  const left = { celery: heartbeats.filter(isAnswer).flatMap(({ pid }) => pid ?? []), rq: rq.map(({ pid }) => pid) };
  for (const { program, declared } of candidates) {
    const pids = declared === "celery" || declared === "rq" ? left[declared] : [];
    for (const pid of program.ownPids) if (pids.includes(pid)) pids.splice(pids.indexOf(pid), 1);
  }
  return left;
}

/** The consumer, or none where it takes no work. */
function consumersIn(candidate: Candidate, registries: Registries, hidden: Hidden): readonly Consumer[] {
  const { program, consumer, declared } = candidate;
  const isOwn = consumer.owner === "own";
  const framework =
    declared ??
    (program.clients.length > 0 ? shownBy(program, registries) : isOwn ? undefined : hiddenIn(program, hidden));
  // Who enqueues for Dramatiq runs the same script as who works: of the stack's own services their kinds tell them
  // apart, of anybody else nothing does.
  if (framework === undefined || (isOwn && framework === "dramatiq" && declared === undefined)) return [];
  return [{ ...consumer, framework: framework === "unknown" ? null : framework }];
}

/** By what it does on its connections. */
function shownBy({ clients }: Program, { rq }: Registries): Framework | undefined {
  if (clients.some((client) => rq.some(({ name }) => name === client.name))) return "rq";
  if (clients.some(waitsForTask)) return "celery";
  if (clients.some(takesJobs)) return "other";
  return clients.some(dispatches) ? "dramatiq" : undefined;
}

/** By what it has registered. */
function hiddenIn({ ownPids }: Program, { registered, dispatches: some }: Hidden): Framework | "unknown" | undefined {
  const framework = (["celery", "rq"] as const).find((name) => registered[name].some((pid) => ownPids.has(pid)));
  return framework ?? (some ? "unknown" : undefined);
}

/** Those that may be ended. */
export const straysOf = ({ brokers }: WorkersAudit): readonly Consumer[] =>
  brokers.flatMap(({ consumers }) => consumers.filter(({ owner }) => owner === "left-over"));

const PYTHON_FLAGS = ["-S", "-E", "-s", "-B"];

/** Ends them, running tasks first; strays.py asks for the proof again. Tells what ended. */
export async function endStrays(opened: Opened, strays: readonly Consumer[]): Promise<readonly string[]> {
  const { plan, context } = opened;
  const { places } = plan;
  const names = new Set(strays.flatMap(({ service }) => service ?? []));
  const supervised =
    (await lookAround(opened)).seen.supervisor.state === "running" ? await programStates(places.supervisorSocket) : [];
  const input = {
    owner: places.owner,
    servicesDir: places.servicesDir,
    ...(context.host.asRoot && { account: SERVICE_USER }),
    supervised: supervised.map(({ pid }) => pid),
    services: Object.fromEntries(
      [...names].map((name) => [name, (plan.services.find((one) => one.name === name)?.stopGraceMs ?? 0) / 1000]),
    ),
  };
  const { execa } = await import("execa");
  const script = join(places.projectDir, "runtime/strays.py");
  const { stdout } = await execa(context.tools.python?.path ?? "python3", [...PYTHON_FLAGS, script], {
    env: { PLAN: JSON.stringify(input) },
    stdin: "ignore",
  });
  const ended = JSON.parse(stdout) as Readonly<Record<string, readonly number[]>>;
  return Object.entries(ended).map(([name, pids]) => `${name}: ended ${pids.join(", ") || "nothing"}`);
}
