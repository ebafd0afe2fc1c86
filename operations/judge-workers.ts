import type { ServicePlan } from "#stack/plan.ts";

/** `other`: it waits for what comes into a list. */
export type Framework = "celery" | "dramatiq" | "rq" | "other";

/** `unknown`: the broker did not answer. */
export type Verdict = "good" | "warning" | "critical" | "unknown";

/** One program that takes work from a broker, with all its processes. */
export interface Consumer {
  /** `left-over`: provably of this stack, and run by nobody any more. */
  readonly owner: "own" | "left-over" | "foreign";
  /** Of this stack. */
  readonly service: string | null;
  /** Null where a proxy hides what it does. */
  readonly framework: Framework | null;
  /** Its first process; null where that may not be looked into, or is on another machine. */
  readonly pid: number | null;
  /** Of the same program file; what its tasks start beside it does not count. */
  readonly processes: number;
  readonly container: { readonly id: string; readonly name: string; readonly image: string } | null;
  /** Where its connections come from. */
  readonly address: string;
  readonly command: string | null;
  readonly cwd: string | null;
  /** ISO 8601 */
  readonly startedAt: string | null;
  /** Owner that a variable or a label of it names; alone that proves nothing. */
  readonly claims: string | null;
}

export interface BrokerEvidence {
  /** Services of the stack that take their work from it. */
  readonly declared: readonly Pick<ServicePlan, "name" | "kind" | "consumes">[];
  readonly consumers: readonly Consumer[];
  /** Node names of Celery that several nodes have. */
  readonly sharedNames: readonly string[];
}

export interface BrokerVerdict {
  readonly verdict: Verdict;
  /** Why it is no better. */
  readonly reasons: readonly string[];
  readonly processes: number;
  /** As many as the stack declares. */
  readonly expected: number;
}

/** So many processes above what is declared are a worker too many; more are workers that pile up. */
const MARGIN = 2;

const NAMES: Readonly<Record<Framework, string>> = {
  celery: "Celery",
  dramatiq: "Dramatiq",
  rq: "RQ",
  other: "other workers",
};

/** Workers of different frameworks do not compete, so each is counted for itself. */
export function judgeBroker({ declared, consumers, sharedNames }: BrokerEvidence): BrokerVerdict {
  const critical = sharedNames.map((name) => `several nodes of Celery are called ${name}, and answer as one`);
  const warning: string[] = [];
  for (const [framework, some] of Map.groupBy(consumers, (consumer) => consumer.framework)) {
    const processes = sum(some);
    const expected = expectedOf(
      declared.filter(({ kind }) => frameworkOfKind(kind) === framework),
      some,
    );
    const name = framework === null ? "unknown workers" : NAMES[framework];
    const words = `${processes === 1 ? "1 process" : `${processes} processes`} of ${name} where ${expected} are declared`;
    if (processes > expected + MARGIN) critical.push(words);
    else if (processes > expected) warning.push(words);
  }
  const strays = consumers.filter(({ owner }) => owner !== "own").length;
  if (strays > 0)
    warning.push(`${strays === 1 ? "1 program" : `${strays} programs`} that no service of the stack runs`);
  const missing = declared.filter(({ name }) => !consumers.some((one) => one.owner === "own" && one.service === name));
  warning.push(...missing.map(({ name }) => `${name} does not consume`));
  return {
    verdict: critical.length > 0 ? "critical" : warning.length > 0 ? "warning" : "good",
    reasons: [...critical, ...warning],
    processes: sum(consumers),
    expected: expectedOf(declared, consumers),
  };
}

/** What the stack declares; a service of its own that consumes without being declared to is as it is. */
const expectedOf = (declared: BrokerEvidence["declared"], consumers: readonly Consumer[]): number =>
  declared.reduce((total, { consumes }) => total + (consumes?.processes ?? 0), 0) +
  sum(consumers.filter(({ owner, service }) => owner === "own" && !declared.some(({ name }) => name === service)));

export const frameworkOfKind = (kind: string): Framework | undefined =>
  (["celery", "dramatiq", "rq"] as const).find((framework) => kind === `${framework}-worker`);

const sum = (consumers: readonly Consumer[]): number =>
  consumers.reduce((total, { processes }) => total + processes, 0);
