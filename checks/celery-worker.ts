import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { connectionsTo, consumingProcesses, parseClients } from "#checks/connections.ts";
import type { BrokerClient, OwnConnections } from "#checks/connections.ts";
import { ownPids } from "#checks/process-tree.ts";
import { askRedis, followRedis, judgeRespError } from "#checks/redis.ts";
import { RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

type CeleryCheck = CheckOf<"celery-worker">;

/** A node beats every 2 s, and at once when it is asked to. */
const LISTEN_MS = 3000;
/** A node with room for a task asks for one every second. */
const IDLE_SECONDS = 30;

/** What a node said of itself in the event `worker-heartbeat`. */
export interface Heartbeat {
  readonly nodename: string;
  /** As it knows itself; undefined where the application writes its events in another format than JSON. */
  readonly pid: number | undefined;
  /** Tasks that it runs; undefined in an answer, which does not tell. */
  readonly active: number | undefined;
}

export interface CeleryEvidence {
  readonly clients: Reply;
  /** Of this node's name, whoever sent them. */
  readonly heartbeats: readonly Heartbeat[];
  /** PIDs of the service's own processes, by the ones under which they know themselves. */
  readonly tree: ReadonlyMap<number, number>;
  readonly connections: OwnConnections;
}

export async function probeCeleryWorker(
  check: CeleryCheck,
  signal: AbortSignal,
  processTree: (() => Promise<readonly number[]>) | undefined,
): Promise<Outcome> {
  if (processTree === undefined) return failed("the check was not told which processes are the service's own");
  const pids = await processTree();
  const answer = await askRedis(check, signal, [["CLIENT", "LIST"]]);
  if ("outcome" in answer) return answer.outcome;
  const [clients = null] = answer.replies;
  const evidence = {
    clients,
    heartbeats: [],
    tree: ownPids(pids),
    connections: connectionsTo(check.worker?.port ?? check.port, pids),
  };
  const consumers = consumersIn(evidence.clients);
  const isAsked = check.heartbeat && consumingProcesses(consumers, evidence.connections, check.worker) > 0;
  if (!isAsked) return judgeCeleryWorker(check, evidence);
  const isQuietNow = isQuiet(ownConsumers(check, consumers, evidence));
  const isEnough = ({ pid, active }: Heartbeat): boolean =>
    isOwn(pid, evidence.tree) && (active !== undefined || !isQuietNow);
  const heard = await heartbeatsOf({ place: check, consumers, signal, nodename: check.nodename }, (all) =>
    all.some(isEnough),
  );
  return "outcome" in heard ? heard.outcome : judgeCeleryWorker(check, { ...evidence, heartbeats: heard.heartbeats });
}

/**
 * Ready when one of the service's own processes holds a connection on which it waits for tasks, and its event loop
 * answers. A connection alone may be of a worker that hangs, an answer alone of one that lost its connection, and both
 * together of somebody else's worker: only the owner of the connection, and the PID in the answer, tell.
 */
export function judgeCeleryWorker(check: CeleryCheck, evidence: CeleryEvidence): Outcome {
  const { clients, heartbeats, tree, connections } = evidence;
  const where = `${check.host}:${check.port}`;
  if (clients instanceof RespError) return judgeRespError(check, clients);
  if (tree.size === 0) return pending("no process of the worker runs");
  const consumers = consumersIn(clients);
  if (consumingProcesses(consumers, connections, check.worker) === 0)
    return pending(
      `no process of the worker consumes from ${where}` +
        (consumers.length > 0 ? `; ${consumers.length} connections there do, of other programs` : ""),
    );
  if (!check.heartbeat) return ready(`it consumes from ${where}; with pool solo it is asked no more`);
  const own = heartbeats.filter(({ pid }) => isOwn(pid, tree));
  if (own.length === 0) {
    const others = heartbeats.flatMap(({ pid }) => pid ?? []);
    return pending(
      `${check.nodename} holds a connection to ${where} and does not answer` +
        (others.length > 0 ? `; a node of the same name does, with PID ${[...new Set(others)].join(", ")}` : ""),
    );
  }
  const waiting = ownConsumers(check, consumers, evidence);
  if (isQuiet(waiting) && own.some(({ active }) => active === 0))
    return pending(`${check.nodename} runs no task and has not asked ${where} for one for ${IDLE_SECONDS} s`);
  return ready(`${check.nodename} consumes from ${where} and answers`);
}

const consumersIn = (clients: Reply): readonly BrokerClient[] =>
  parseClients(typeof clients === "string" ? clients : "").filter(waitsForTask);

/** It waits for a task, or did until it got one: of the commands on this connection that is the last. */
export const waitsForTask = ({ command }: BrokerClient): boolean => command === "brpop";

/** Of a proxy's connections nobody knows which are whose. */
const ownConsumers = (
  { worker }: CeleryCheck,
  consumers: readonly BrokerClient[],
  { connections }: Pick<CeleryEvidence, "connections">,
): readonly BrokerClient[] =>
  worker?.isDirect === false ? consumers : consumers.filter(({ port }) => connections.has(port));

const isQuiet = (consumers: readonly BrokerClient[]): boolean => consumers.every(({ idle }) => idle > IDLE_SECONDS);

const isOwn = (pid: number | undefined, tree: ReadonlyMap<number, number>): boolean =>
  pid === undefined || tree.has(pid);

/** Every node's beats, as kombu publishes events on Redis: `/<database>.celeryev/<event>`. */
const EVENTS = "*.celeryev/worker.heartbeat";

export interface Listening {
  readonly place: Pick<CeleryCheck, "host" | "port" | "passwordFile">;
  /** Connections that wait for tasks: whose nodes are asked. */
  readonly consumers: readonly BrokerClient[];
  readonly signal: AbortSignal;
  /** Absent: all nodes. */
  readonly nodename?: string;
}

/** Asks nodes for their heartbeats, and listens until those are enough or 3 s are over. Nothing is stored on the broker. */
export async function heartbeatsOf(
  { place, consumers, signal, nodename }: Listening,
  isEnough: (heartbeats: readonly Heartbeat[]) => boolean,
): Promise<{ readonly heartbeats: readonly Heartbeat[] } | { readonly outcome: Outcome }> {
  const heartbeats: Heartbeat[] = [];
  const either = AbortSignal.any([signal, AbortSignal.timeout(LISTEN_MS)]);
  const commands = [...new Set(consumers.map(({ database }) => database))].map((database) =>
    heartbeatRequest(database, nodename),
  );
  const answer = await followRedis(place, either, [["PSUBSCRIBE", EVENTS]], (replies) => {
    if (replies.length === 1) {
      void askRedis(place, either, commands);
      return replies[0] instanceof RespError;
    }
    const heartbeat = parseHeartbeat(replies.at(-1) ?? null);
    if (heartbeat === undefined || (nodename !== undefined && heartbeat.nodename !== nodename)) return false;
    heartbeats.push(heartbeat);
    return isEnough(heartbeats);
  });
  // It was listened to for as long as it should be.
  if (either.aborted) return { heartbeats };
  if ("outcome" in answer) return answer;
  const [refused] = answer.replies;
  return refused instanceof RespError ? { outcome: judgeRespError(place, refused) } : { heartbeats };
}

/** Celery's own remote control command; a node that does not take JSON leaves it, and beats all the same. */
function heartbeatRequest(database: number, nodename: string | undefined): readonly string[] {
  const body = { method: "heartbeat", arguments: {}, ...(nodename !== undefined && { destination: [nodename] }) };
  const message = {
    body: Buffer.from(JSON.stringify(body)).toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: {},
    properties: {
      delivery_mode: 1,
      delivery_info: { exchange: "celery.pidbox", routing_key: "" },
      priority: 0,
      body_encoding: "base64",
      delivery_tag: "engineroom",
    },
  };
  return ["PUBLISH", `/${database}.celery.pidbox`, JSON.stringify(message)];
}

/** @param reply one message of a pattern subscription. */
export function parseHeartbeat(reply: Reply): Heartbeat | undefined {
  const text = Array.isArray(reply) && reply[0] === "pmessage" ? (reply as readonly Reply[])[3] : undefined;
  const message = typeof text === "string" ? jsonOf(text) : undefined;
  const nodename = (message?.["headers"] as { readonly hostname?: unknown } | undefined)?.hostname;
  if (typeof nodename !== "string") return undefined;
  const body = message?.["body"];
  const event = typeof body === "string" ? jsonOf(Buffer.from(body, "base64").toString("utf8")) : undefined;
  return { nodename, pid: numberOf(event?.["pid"]), active: numberOf(event?.["active"]) };
}

const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

function jsonOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
