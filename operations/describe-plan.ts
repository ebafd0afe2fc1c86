import type { Check } from "#checks/check.ts";
import type { ServicePlan, StackPlan, UserSecret } from "#stack/plan.ts";
import { printable, type Text } from "#stack/text.ts";

type Texts = Readonly<Record<string, string>>;

/** A service's plan with `(secret NAME)` where a secret goes in. */
export type PrintablePlan = Omit<ServicePlan, "env" | "files" | "outputs"> & {
  readonly env: Texts;
  readonly files: readonly { readonly path: string; readonly mode: string; readonly content: string }[];
  readonly outputs: Texts;
};

/** What `plan --json` prints. */
export interface DescribedPlan {
  readonly stack: string;
  readonly owner: string;
  readonly services: readonly PrintablePlan[];
  readonly disabled: readonly string[];
  /** Where each secret of the stack file comes from. */
  readonly secrets: readonly { readonly name: string; readonly from: string }[];
}

export const describePlan = (plan: StackPlan, services: readonly ServicePlan[]): DescribedPlan => ({
  stack: plan.places.stack,
  owner: plan.places.owner,
  services: services.map(printablePlan),
  disabled: plan.disabled,
  secrets: Object.entries(plan.secrets).map(([name, secret]) => ({ name, from: originOf(secret) })),
});

const printablePlan = (service: ServicePlan): PrintablePlan => ({
  ...service,
  env: printableValues(service.env),
  files: service.files.map(({ path, mode, content }) => ({ path, mode, content: printable(content) })),
  outputs: printableValues(service.outputs),
});

const printableValues = (texts: Readonly<Record<string, Text>>): Texts =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, printable(text)]));

/** Never the value: of an encrypted one not even where it could be read. */
function originOf(secret: UserSecret): string {
  switch (secret.from) {
    case "config":
      return "the stack file, encrypted";
    case "env":
      return `the variable ${secret.variable}`;
    case "file":
    case "envFile":
      return `the file ${secret.path}`;
    case "generate":
      return `generated, ${secret.bytes} bytes`;
  }
}

/** What a check asks for, in one sentence. */
export const checkWords = (check: Check): string => `${ownWords(check)}${gpuWords(check)}`;

function gpuWords({ gpu }: Check): string {
  if (!gpu) return "";
  const what =
    gpu.layers === undefined
      ? gpu.devices === undefined
        ? "on a GPU"
        : "with a GPU in its container"
      : `with ${gpu.layers} layers on a GPU`;
  return gpu.required ? `, ${what}` : `, ${what} if there is one`;
}

function ownWords(check: Check): string {
  switch (check.kind) {
    case "http": {
      const pairs = Object.entries(check.json ?? {}).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
      const header = check.header ? [`the header ${check.header.name}: ${check.header.value}`] : [];
      return [`${check.url} answers ${check.status ?? 200}`, ...pairs, ...header].join(", ");
    }
    case "postgres":
      return `select a row as ${check.user} in ${check.database} on ${check.host}:${check.port}`;
    case "redis":
      return `set a key and read it on ${check.host}:${check.port}, eviction policy ${check.policy}`;
    case "llama-server":
      return `${check.url} generates a token with ${check.alias}, context ${check.contextSize}`;
    case "ollama": {
      const [first] = check.models;
      return first === undefined
        ? `${check.url} lists its models`
        : `${check.url} has ${check.models.join(", ")}, and ${first} does a unit of work`;
    }
    case "dramatiq-worker":
      return `${check.processes === 1 ? "a process of its own consumes" : `${check.processes} processes of its own consume`} from ${check.host}:${check.port}`;
    case "celery-worker":
      return `a process of its own consumes from ${check.host}:${check.port}${check.heartbeat ? `, and ${check.nodename} answers` : ""}`;
    case "celery-beat":
      return `its loop goes round, and ${check.host}:${check.port} answers`;
    case "rq-worker":
      return `${check.workers === 1 ? "a worker of its own is" : `${check.workers} workers of its own are`} registered in database ${check.database} of ${check.host}:${check.port}`;
    case "object-store":
      return `put, read and delete an object of ${check.buckets[0] ?? "a bucket"} as ${check.accessKey} on ${check.url}`;
    case "mqtt":
      return `publish and receive a message as ${check.user} on ${check.host}:${check.port}`;
    case "prometheus":
      return `${check.url} is ready and answers the query up`;
    case "tcp":
      return `${check.host}:${check.port} accepts a connection`;
    case "command":
      return `${check.argv.join(" ")} ends with exit code 0`;
    case "alive":
      return `stays up for ${check.seconds} s`;
  }
}
