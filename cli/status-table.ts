import { painted, table, wantsColour, type Cell } from "#cli/table.ts";
import { mebibytes, type State } from "#operations/judge-state.ts";
import type { ServiceStatus, StackStatus } from "#operations/status.ts";

const MOODS: Readonly<Record<State, Cell["mood"]>> = {
  ready: "good",
  done: "good",
  external: "good",
  starting: "middling",
  waiting: "middling",
  degraded: "middling",
  unhealthy: "bad",
  failed: "bad",
  stopped: "bad",
  missing: "bad",
  disabled: "quiet",
};

export const stateCell = (state: State): Cell => ({ text: state, mood: MOODS[state] });

/** @param now Unix milliseconds. */
export function statusTable(status: StackStatus, now = Date.now(), colour = wantsColour()): string {
  const heads = ["SERVICE", "KIND", "STATE", "ADDRESS", "PID", "MEMORY", "RESTARTS", "SINCE", "REASON"];
  return `${headline(status, colour)}\n\n${table([heads, ...status.services.map((service) => row(service, now))], colour)}`;
}

function headline({ stack, ready, services }: StackStatus, colour: boolean): string {
  const enabled = services.filter((service) => service.state !== "disabled");
  const word = ready ? "ready" : "not ready";
  const count = `${enabled.filter((service) => service.ready).length} of ${enabled.length} services`;
  return `stack ${stack}: ${painted(word, { text: word, mood: ready ? "good" : "bad" }, colour)} (${count})`;
}

function row(service: ServiceStatus, now: number): readonly (string | Cell)[] {
  const { state, pid, memoryBytes, restarts, since } = service;
  return [
    service.name,
    service.kind,
    stateCell(state),
    address(service),
    pid === null ? "" : String(pid),
    memoryBytes === null ? "" : mebibytes(memoryBytes),
    restarts === 0 ? "" : String(restarts),
    since === null ? "" : ago(now - Date.parse(since)),
    service.reason ?? "",
  ];
}

const address = ({ url, ports }: ServiceStatus): string =>
  url ?? ports.map(({ host, port }) => `${host}:${port}`).join(", ");

/** `42 s`, `3 min`, `5 h`, `12 d` */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
