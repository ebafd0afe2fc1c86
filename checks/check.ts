/** One attempt's result. `failed` is final: waiting longer cannot help. */
export type Outcome =
  /** `degraded`: what is worse than it should be all the same. */
  | { readonly status: "ready"; readonly detail: string; readonly degraded?: string }
  | { readonly status: "pending"; readonly reason: string }
  | { readonly status: "failed"; readonly reason: string; readonly fix?: string };

export const ready = (detail: string): Outcome => ({ status: "ready", detail });
export const pending = (reason: string): Outcome => ({ status: "pending", reason });
export const failed = (reason: string, fix?: string): Outcome =>
  fix === undefined ? { status: "failed", reason } : { status: "failed", reason, fix };

/** One attempt. It settles when `signal` aborts, and never rejects. */
export type Probe = (signal: AbortSignal) => Promise<Outcome>;

/** Where a TCP service listens, and the file that holds its password (never the password itself). */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly passwordFile?: string;
}

/** Where something stands between a worker and its broker, or the worker has a network of its own. */
export interface WorkerSide {
  /** Port to which the worker itself connects. */
  readonly port: number;
  /** False: something between the two (the engine's proxy, our relay) has a connection of its own. */
  readonly isDirect: boolean;
}

/**
 * What "works" means for one service, as JSON: a resource input, diffed and printed.
 * A new kind is a member here, a file beside this one and a line in run.ts.
 */
export type Check = AnyCheck & {
  /** Once it works: that it does so on a GPU. */
  readonly gpu?: GpuProof;
};

export interface GpuProof {
  /** False: on the CPU it works too, and is only called degraded. */
  readonly required: boolean;
  /** Of a llama-server: layers that must lie on the GPU. */
  readonly layers?: number | "all";
  /** Cards that its container must see. */
  readonly devices?: "all" | readonly string[];
}

type AnyCheck =
  /** 200 (or `status`), and the JSON body holds every pair of `json` at its top level. A redirect is no success. */
  | {
      readonly kind: "http";
      readonly url: string;
      readonly status?: number;
      readonly json?: Readonly<Record<string, string | number | boolean>>;
      /** Exact header that proves who answers, e.g. the stack's owner id in nginx's own location. */
      readonly header?: { readonly name: string; readonly value: string };
    }
  /** A row selected after a login over TCP. */
  | ({ readonly kind: "postgres"; readonly user: string; readonly database: string } & Endpoint)
  /** A key set, read and removed; `policy` is the eviction policy that the role needs. */
  | ({ readonly kind: "redis"; readonly policy: "noeviction" | "allkeys-lfu" } & Endpoint)
  /** The declared model under its alias, with the declared context size, and one token generated, or one embedding. */
  | {
      readonly kind: "llama-server";
      readonly url: string;
      readonly alias: string;
      readonly contextSize: number;
      readonly embeddings?: true;
      readonly apiKeyFile?: string;
    }
  /** Its models are there, and the first one did a unit of work: a token, or an embedding. */
  | {
      readonly kind: "ollama";
      readonly url: string;
      /** With their tags. */
      readonly models: readonly string[];
    }
  /** A broker connection owned by the service's own process tree, and a fresh heartbeat. */
  | ({
      readonly kind: "dramatiq-worker";
      readonly processes: number;
      readonly namespace: string;
      readonly worker?: WorkerSide;
    } & Endpoint)
  /** A consuming connection owned by the service's own process tree, and a heartbeat of its node when asked. */
  | ({
      readonly kind: "celery-worker";
      readonly nodename: string;
      /** False: the node answers nothing while a task runs. */
      readonly heartbeat: boolean;
      readonly worker?: WorkerSide;
    } & Endpoint)
  /** The scheduler has come to its loop, which its PID file shows, and wakes; the broker answers. */
  | ({ readonly kind: "celery-beat"; readonly pidFile: string } & Endpoint)
  /** As many registered workers as declared, each a process of the service's own tree with a connection of its name. */
  | ({
      readonly kind: "rq-worker";
      readonly workers: number;
      readonly database: number;
      readonly worker?: WorkerSide;
    } & Endpoint)
  /** Every bucket is there, and an object was put into the first one, read and deleted, by signed requests. */
  | {
      readonly kind: "object-store";
      readonly url: string;
      readonly region: string;
      readonly accessKey: string;
      readonly secretKeyFile: string;
      readonly buckets: readonly string[];
    }
  /** A message to a topic of its own came back after a login. */
  | ({ readonly kind: "mqtt"; readonly user: string } & Endpoint)
  /** Its data is loaded, and it answered a query. */
  | { readonly kind: "prometheus"; readonly url: string }
  /** The port accepts a connection. */
  | ({
      readonly kind: "tcp";
      /** False: the engine's proxy accepts in any case, and hangs up where nobody listens behind it. */
      readonly isDirect?: false;
    } & Endpoint)
  /** The program ends with exit code 0; it runs as the service does, where that is known. */
  | { readonly kind: "command"; readonly argv: readonly string[]; readonly cwd?: string }
  /** The process has stayed up for `seconds`: for programs that offer nothing to ask. */
  | { readonly kind: "alive"; readonly seconds: number };

/** How long to wait, and how often. */
export interface WaitPolicy {
  readonly timeoutMs: number;
  /** Limit of one attempt; an attempt that hangs is `pending`, not the end of the wait. */
  readonly attemptMs: number;
}

export interface WaitReport {
  readonly outcome: Outcome;
  readonly attempts: number;
  readonly elapsedMs: number;
  /** The caller gave up before the deadline; `outcome` is the last one seen. */
  readonly cancelled?: true;
}

/** The member of `Check` with this kind. */
export type CheckOf<Kind extends Check["kind"]> = Extract<Check, { kind: Kind }>;
