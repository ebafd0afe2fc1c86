import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { doneFile } from "#stack/load.ts";
import type { StackPlaces } from "#stack/places.ts";
import type { StackPlan } from "#stack/plan.ts";
import { readJson, readStartHistory, readText, type StartHistory } from "./records.ts";
import { identification, programStates, type ProgramState } from "./supervisord.ts";

/** The running world, as one look found it. */
export interface Observation {
  readonly supervisor: SupervisorSeen;
  readonly services: ReadonlyMap<string, ServiceSeen>;
  /** Keys of the builds that stand ready. */
  readonly builds: ReadonlySet<string>;
}

export type SupervisorSeen =
  | { readonly state: "running" }
  /** Never started here, or taken down. */
  | { readonly state: "absent" }
  /** Its settings are there, and it does not answer. */
  | { readonly state: "down"; readonly reason: string }
  | { readonly state: "foreign"; readonly owner: string };

export interface ServiceSeen {
  /** Its own directory is there. */
  readonly stands: boolean;
  /** What supervisord says; undefined where it knows no such program, and for a job. */
  readonly program?: ProgramState;
  /** SHA-256 of the plan that was applied last; undefined where an apply never ended. */
  readonly appliedPlan?: string;
  /** Files that are not as the last apply wrote them. */
  readonly edited: readonly string[];
  readonly history: StartHistory;
  /** Of a job that succeeded. */
  readonly done?: DoneMark;
  /** Random id of the service's data, where it has any. */
  readonly dataId?: string;
}

export interface DoneMark {
  /** SHA-256 of the plan that ran. */
  readonly plan: string;
  /** Data ids that it ran against, by service. */
  readonly data: Readonly<Record<string, string>>;
  /** Unix seconds. */
  readonly at: number;
}

export async function observe(plan: StackPlan): Promise<Observation> {
  const { places } = plan;
  const { seen, programs } = await lookAtSupervisor(places);
  return {
    supervisor: seen,
    services: new Map(
      plan.services.map((service) => {
        const home = `${places.servicesDir}/${service.name}`;
        const program = programs.get(service.name);
        const done = service.run === "job" ? markOf<DoneMark>(doneFile(places, service.name), "data") : undefined;
        const dataId = service.dataIdFile ? readText(service.dataIdFile)?.trim() : undefined;
        return [
          service.name,
          {
            stands: existsSync(home),
            ...(program && { program }),
            ...lookAtFiles(home),
            history: readStartHistory(home),
            ...(done && { done }),
            ...(dataId && { dataId }),
          },
        ];
      }),
    ),
    builds: new Set(plan.builds.filter((build) => existsSync(`${build.target}/.done`)).map((build) => build.key)),
  };
}

const configOf = (places: StackPlaces): string => `${places.stackDir}/supervisord.conf`;

async function lookAtSupervisor(
  places: StackPlaces,
): Promise<{ readonly seen: SupervisorSeen; readonly programs: ReadonlyMap<string, ProgramState> }> {
  try {
    const [owner, states] = await Promise.all([
      identification(places.supervisorSocket),
      programStates(places.supervisorSocket),
    ]);
    if (owner !== places.owner) return { seen: { state: "foreign", owner }, programs: new Map() };
    if (!existsSync(configOf(places))) {
      // Somebody removed the stack's directory under a living supervisord, which must begin anew.
      return { seen: { state: "down", reason: "its settings are gone" }, programs: new Map() };
    }
    return { seen: { state: "running" }, programs: new Map(states.map((state) => [state.name, state])) };
  } catch (error) {
    const started = existsSync(configOf(places));
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return { seen: started ? { state: "down", reason } : { state: "absent" }, programs: new Map() };
  }
}

/** The mark that apply.py leaves when it is through. */
interface InstalledMark {
  readonly plan: string;
  readonly files: Readonly<Record<string, string>>;
}

function lookAtFiles(home: string): Pick<ServiceSeen, "appliedPlan" | "edited"> {
  const mark = markOf<InstalledMark>(`${home}/installed.json`, "files");
  if (!mark) return { edited: [] };
  return {
    appliedPlan: mark.plan,
    edited: Object.entries(mark.files).flatMap(([path, hash]) => (sha256(readText(path) ?? "") === hash ? [] : [path])),
  };
}

/** A mark that is damaged counts as none: then what it marked is done again. */
function markOf<Mark extends { readonly plan: string }>(path: string, map: keyof Mark & string): Mark | undefined {
  const mark = readJson(path) as Partial<Record<string, unknown>> | undefined;
  const inner = mark?.[map];
  const whole = typeof mark?.["plan"] === "string" && typeof inner === "object" && inner !== null;
  return whole ? (mark as unknown as Mark) : undefined;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
