import { z } from "zod";
import type { CheckOf, WorkerSide } from "#checks/check.ts";
import type { ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { printable, secretsIn, type Text } from "#stack/text.ts";
import type { PlanContext } from "./kind.ts";

/** A module of Python, or an object in one. */
export const pythonObject = z
  .string()
  .regex(/^[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?$/, "a Python module, such as `app.tasks` or `app.tasks:broker`");

/** A queue of Celery or RQ. */
export const queueName = z
  .string()
  .regex(/^[\w.:@][\w.:@-]*$/, "a queue's name: letters, digits and `._:@-`, no `-` first");

/** The redis service that a worker takes its work from. */
export interface Broker {
  readonly name: string;
  readonly check: Pick<CheckOf<"redis">, "host" | "port" | "passwordFile">;
  /** Where the connections of the worker itself end, unless that is the broker's own address. */
  readonly worker?: WorkerSide;
}

interface Wanted {
  readonly env: Readonly<Record<string, Text>>;
  /** The variable that names the broker; without it another reference will do unless it `mustBe` there. */
  readonly variable?: string;
  readonly mustBe?: boolean;
}

/**
 * The broker among the redis services that a worker refers to: the one in its variable, else one that keeps what it is
 * given.
 */
export function brokerOf(context: PlanContext, { env, variable, mustBe }: Wanted): Broker | Problem {
  const services = context.uses.filter(({ check }) => check?.kind === "redis");
  const text = variable === undefined ? undefined : env[variable];
  const named = text && services.find((service) => isIn(text, service));
  const service = named ?? (mustBe ? undefined : (services.find(keeps) ?? services[0]));
  if (service?.check?.kind !== "redis") return withoutBroker(context, variable ?? "REDIS_URL");
  if (!keeps(service)) return evicting(context, service);
  const { host, port, passwordFile } = service.check;
  return {
    name: service.name,
    check: { host, port, ...(passwordFile && { passwordFile }) },
    ...(!(context.in === "host" && service.in === "host") && {
      worker: {
        port: (context.in === "container" && service.container?.internalPorts[0]) || port,
        // What stands before somebody else's server nobody knows; often it is the engine's proxy.
        isDirect: context.in === service.in,
      },
    }),
  };
}

/** Each redis service has a password of its own, unless the user brings one for several. */
function isIn(text: Text, { outputs, name, container, ports, external }: ServicePlan): boolean {
  const holes = secretsIn(outputs["password"] ?? []);
  if (holes.length > 0 && !secretsIn(text).some((secret) => holes.includes(secret))) return false;
  const address = printable(text);
  const reached = external ? [external] : ports;
  return [...reached.map(({ port }) => `:${port}/`), ...(container ? [`@${name}:`] : [])].some((part) =>
    `${address}/`.includes(part),
  );
}

const keeps = ({ check }: ServicePlan): boolean => check?.kind === "redis" && check.policy === "noeviction";

function withoutBroker({ name }: PlanContext, variable: string): Problem {
  return {
    code: "WORKER_WITHOUT_BROKER",
    where: `services.${name}.env`,
    expected: "a variable that refers to the worker's redis service",
    got: "none",
    fix: `add env: { ${variable}: "\${broker.url}" } with the name of your redis service`,
  };
}

const evicting = ({ name }: PlanContext, broker: ServicePlan): Problem => ({
  code: "BROKER_EVICTS",
  where: `services.${broker.name}.role`,
  expected: `\`broker\`, since ${name} takes its work from it`,
  got: "`cache`, which drops what is used least, waiting tasks too, and keeps nothing on disk",
  fix: `set services.${broker.name}.role to broker; a cache is another service`,
});

/** Number of the database in a URL such as `redis://:…@127.0.0.1:6379/3`. */
export function databaseIn(text: Text): number {
  const last = text.at(-1);
  const [, number] = (typeof last === "string" && /:\d+\/(\d+)(?:\?.*)?$/.exec(last)) || [];
  return Number(number ?? 0);
}
