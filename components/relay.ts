import type { NetworkPlan, PlannedPort } from "#stack/plan.ts";
import type { KindPlan, PlanContext } from "./kind.ts";
import { nginxRun } from "./nginx/plan.ts";

/** Name of the service that brings a stack's containers to its host services; no other may have it. */
export const RELAY = "relay";

/**
 * Host services listen on loopback, which no container reaches, and so may what somebody else runs on this host. For
 * those that containers use, an nginx of this host listens on the host's own address in the stack's network and hands the bytes on; on no other address.
 */
export function relayPlan(
  servers: readonly PlannedPort[],
  network: NetworkPlan,
  context: PlanContext,
): KindPlan & { readonly ports: readonly PlannedPort[] } {
  const { home } = context;
  const { gateway } = network;
  // One that listens on every address is reached without help.
  const targets = servers
    .filter(({ host }) => host !== "0.0.0.0")
    // Pulumi hands the services over in another order than the file has.
    .sort((a, b) => a.port - b.port);
  const [first] = targets;
  return {
    ...nginxRun({ program: context.tool("nginx").path, prefix: home, home, conf: relayConf(network, targets) }),
    tools: ["nginx"],
    check: first ? { kind: "tcp", host: gateway, port: first.port } : { kind: "alive", seconds: 0 },
    readyTimeoutMs: 30_000,
    stopGraceMs: 5000,
    ports: targets.map(({ port }) => ({ host: gateway, port })),
  };
}

/**
 * A connection may be quiet for long: a database's in a pool, a worker's that waits for a task. The kernel takes packets
 * for the gateway's address on every interface, so a neighbour with a route to it could knock: only the network may.
 */
const relayConf = ({ gateway, subnet }: NetworkPlan, targets: readonly PlannedPort[]): string => `worker_processes 1;
pid nginx.pid;
events { worker_connections 4096; }
stream {
  proxy_connect_timeout 2s;
  proxy_timeout 7d;
  proxy_socket_keepalive on;
  allow ${subnet};
  deny all;
${targets.map(({ host, port }) => `  server { listen ${gateway}:${port}; proxy_pass ${host}:${port}; }\n`).join("")}}
`;
