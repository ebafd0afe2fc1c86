import type { Ground, wholeStack } from "./whole-stack.ts";

/** Another value for one field, and every resource whose inputs must change with it. */
export interface FieldChange {
  /** A function gets the value that stands in the whole stack. */
  readonly value: unknown;
  readonly changes: readonly string[];
  /** Instead of a plan there is a problem of this code. */
  readonly refused?: string;
  /** Why a real preview cannot show it on this machine. */
  readonly planOnly?: string;
  /** What a preview beside the running stack says instead: there the world is looked at, too. */
  readonly refusedBeside?: string;
}

/** A field with one value only, and why. */
export type FieldRow = FieldChange | { readonly fixed: string };

export type Rows = Readonly<Record<string, FieldRow>>;
export type ServiceName = keyof ReturnType<typeof wholeStack>["services"];

export const to = (value: unknown, ...changes: readonly string[]): FieldChange => ({ value, changes });
export const added = (more: object) => (value: unknown) => ({ ...(value as object | undefined), ...more });

/** Brought to `llm` once it runs. */
export const LLM_MODEL = "llm-model-gemma:latest";
/** What stays up has a process and a proof of it. */
const up = (...services: readonly string[]): readonly string[] =>
  services.flatMap((service) => [`${service}-process`, `${service}-ready`, ...(service === "llm" ? [LLM_MODEL] : [])]);

export const KIND: FieldRow = { fixed: "it chooses the schema" };
const NEEDS_ENGINE = "it needs a container engine";
/** A key that the place where the service runs cannot carry out. */
export const misplaced = (value: unknown): FieldChange => ({ value, changes: [], refused: "STACK_PLACE" });
/** In a container instead; `also` follows from that. */
const contained = (service: ServiceName, ...also: readonly string[]): FieldChange => ({
  ...to("container", "network", "containers", `${service}-container`, `${service}-ready`, ...also),
  planOnly: NEEDS_ENGINE,
});
/** What brings containers to services of this host. */
const RELAY = up("relay");
const image = (directory: string): readonly string[] => [`image-${directory}`, `image-${directory}-context`];
const followersOf = {
  db: ["migrate-run", ...up("api", "worker")],
  broker: up("api", "worker", "tasks", "beat", "later", "poller"),
  chat: up("api", "worker"),
  llm: [],
  migrate: up("api", "worker"),
  api: up("edge", "tick", "metrics"),
  site: up("edge"),
  bus: [],
  store: [],
  metrics: [],
  worker: [],
  tasks: [],
  beat: [],
  later: [],
  poller: [],
  edge: [],
  tick: [],
} as const;
/** What workers prove by asking the broker. */
export const AT_BROKER = ["worker-ready", "tasks-ready", "beat-ready", "later-ready"];

/** Those that wait at a gate until the service answers; routes do not wait. */
const waitersOf = { ...followersOf, api: up("tick"), site: [] } as const;

/** Fields of every kind that stays up. */
function common(service: Exclude<ServiceName, "migrate">, need: ServiceName, signal: string): Rows {
  const own = up(service);
  return {
    kind: KIND,
    enabled: to(false, ...own, ...followersOf[service]),
    required: to(false, `${service}-ready`, ...waitersOf[service]),
    needs: to((needs: unknown) => [...((needs as string[] | undefined) ?? []), need], ...own),
    // It does not refer to this one.
    doesNotWaitFor: to([need]),
    env: to(added({ EXTRA: "1" }), ...own),
    envFile: to("./app.env", ...own),
    logFile: to("/tmp/engineroom-fields.log", ...own),
    errorLog: to("/tmp/engineroom-fields.err", ...own),
    // Watched, not enforced: nothing on the host changes.
    memory: to("3GiB"),
    cpus: misplaced(2),
    containerName: misplaced("other"),
    restart: to("on-failure", ...own),
    ready: to({ timeout: "99s" }, `${service}-ready`),
    stopSignal: to(signal, ...own),
    stopGrace: to("7s", ...own),
    pidFile: to("/tmp/engineroom-fields.pid", ...own),
  };
}

const data = (service: ServiceName): Rows => ({
  data: to("disposable", ...up(service)),
  volumeName: misplaced("other"),
});

/** One card, which the world of a preview here does not have. */
export const card = (...changes: readonly string[]): FieldChange => ({
  ...to({ count: 1 }, ...changes),
  planOnly: "it needs a GPU",
});

/** What only an application in a container has, and the cards of any. */
const application = (...own: readonly string[]): Rows => ({
  gpu: card(...own),
  image: misplaced("python:3"),
  runAs: misplaced("5:5"),
  readOnly: misplaced(false),
  capabilities: misplaced(["CAP_CHOWN"]),
});

/** One row for each field of each kind's settings, by the service that has this kind in the whole stack. */
export const serviceFields = (ground: Ground): Readonly<Record<ServiceName, Rows>> => ({
  db: {
    ...common("db", "broker", "QUIT"),
    enabled: to(false, ...up("db"), "db-password", ...followersOf.db),
    port: to(ground.ports[1], ...up("db"), ...followersOf.db),
    database: to("other", ...up("db"), ...followersOf.db),
    user: to("other", ...up("db"), ...followersOf.db),
    password: to("${secret.token}", ...up("db"), "db-password", ...followersOf.db),
    maxConnections: to(50, ...up("db")),
    sharedBuffers: to("64MiB", ...up("db")),
    // The migration looks for the id of the data elsewhere.
    in: contained("db", "db-process", "db-files", "volume-test-db", "migrate-run"),
    ...data("db"),
  },
  broker: {
    ...common("broker", "db", "INT"),
    enabled: { value: false, changes: [], refused: "WORKER_WITHOUT_BROKER" },
    port: to(ground.ports[1], ...up("broker"), ...followersOf.broker),
    role: { value: "cache", changes: [], refused: "BROKER_EVICTS" },
    password: to("${secret.token}", ...up("broker"), "broker-password", ...followersOf.broker),
    maxMemory: to("64MiB", ...up("broker")),
    in: contained("broker", "broker-process", "broker-files", "volume-test-broker", ...AT_BROKER),
    ...data("broker"),
  },
  chat: {
    ...common("chat", "db", "INT"),
    enabled: to(false, ...up("chat"), "chat-model", ...followersOf.chat),
    port: to(ground.ports[1], ...up("chat"), ...followersOf.chat),
    model: to("other", ...up("chat"), "chat-model"),
    contextSize: to(256, ...up("chat")),
    threads: to(1, ...up("chat")),
    gpu: card(...up("chat")),
    gpuLayers: to(0, ...up("chat")),
    chatTemplate: to("{{ messages[0].content }}", ...up("chat")),
    parallel: to(2, ...up("chat")),
    alias: to("other", ...up("chat")),
    batchSize: to(256, ...up("chat")),
    ubatchSize: to(256, ...up("chat")),
    flashAttention: to("off", ...up("chat")),
    cacheTypeK: to("q8_0", ...up("chat")),
    cacheTypeV: to("q8_0", ...up("chat")),
    embeddings: to(true, ...up("chat")),
    jinja: to(true, ...up("chat")),
    args: to(["--metrics"], ...up("chat")),
    in: contained("chat", "chat-process"),
  },
  llm: {
    ...common("llm", "db", "INT"),
    required: to(false, "llm-ready", LLM_MODEL),
    ready: to({ timeout: "99s" }, "llm-ready", LLM_MODEL),
    port: to(ground.ports[1], ...up("llm")),
    models: to([{ from: "gemma", name: "small" }], "llm-ready", LLM_MODEL, "llm-model-small:latest"),
    keepAlive: to("forever", ...up("llm")),
    contextLength: to(512, ...up("llm")),
    numParallel: to(2, ...up("llm")),
    maxLoadedModels: to(1, ...up("llm")),
    gpu: card(...up("llm")),
    flashAttention: to(true, ...up("llm")),
    kvCacheType: to("q8_0", ...up("llm")),
    in: contained("llm", "llm-process", LLM_MODEL, "volume-test-llm"),
    ...data("llm"),
  },
  migrate: {
    kind: KIND,
    in: contained(
      "migrate",
      ...["migrate-run", "migrate-files", ...RELAY, ...image("examples/apps/api")],
      // They wait for its mark, which is elsewhere.
      ...up("api", "worker"),
    ),
    ...application("migrate-run"),
    memory: to("3GiB"),
    cpus: misplaced(2),
    containerName: misplaced("other"),
    enabled: to(false, "migrate-run", ...followersOf.migrate),
    required: to(false, "migrate-run", ...waitersOf.migrate),
    needs: to(["broker"], "migrate-run"),
    // Its gate goes.
    doesNotWaitFor: to(["db"], "migrate-run"),
    env: to(added({ EXTRA: "1" }), "migrate-run"),
    envFile: to("./app.env", "migrate-run"),
    logFile: to("/tmp/engineroom-fields.log", "migrate-run"),
    build: to(ground.otherApp, "migrate-run", "build-other"),
    cwd: to("/usr", "migrate-run"),
    command: to(["alembic", "current"], "migrate-run"),
    timeout: to("99s", "migrate-run"),
  },
  api: {
    ...common("api", "site", "INT"),
    port: to(ground.ports[1], ...up("api"), ...followersOf.api),
    build: to(ground.otherApp, ...up("api"), "build-other"),
    dev: {
      ...to(true, ...up("api"), "environment-examples/apps/api"),
      planOnly: "root's checkout is shut to the account that would run there",
    },
    cwd: to("/usr", ...up("api")),
    command: to(["uvicorn", "app.main:app", "--port=${self.port}"], ...up("api")),
    health: to("/api/health", "api-ready"),
    in: contained("api", "api-process", "api-files", ...RELAY, ...image("examples/apps/api")),
    ...application(...up("api")),
  },
  worker: {
    ...common("worker", "site", "INT"),
    build: to(ground.otherApp, ...up("worker"), "build-other"),
    cwd: to("/usr", ...up("worker")),
    module: to("app.main", ...up("worker")),
    processes: to(2, ...up("worker")),
    verbose: to(true, ...up("worker")),
    threads: to(2, ...up("worker")),
    queues: to(["default"], ...up("worker")),
    in: contained("worker", "worker-process", "worker-files", ...RELAY, ...image("examples/apps/api")),
    ...application(...up("worker")),
  },
  tasks: {
    ...common("tasks", "site", "INT"),
    build: to(ground.otherApp, ...up("tasks"), "build-other"),
    cwd: to("/usr", ...up("tasks")),
    app: to("jobs.celery:app", ...up("tasks")),
    queues: to(["images"], ...up("tasks")),
    pool: to("threads", ...up("tasks")),
    concurrency: to(2, ...up("tasks")),
    nodename: to("images@lab", ...up("tasks")),
    prefetchMultiplier: to(1, ...up("tasks")),
    maxTasksPerChild: to(10, ...up("tasks")),
    timeLimit: to("90s", ...up("tasks")),
    softTimeLimit: to("80s", ...up("tasks")),
    taskEvents: to(true, ...up("tasks")),
    loglevel: to("debug", ...up("tasks")),
    in: contained("tasks", "tasks-process", "tasks-files", ...RELAY, ...image("examples/apps/worker")),
    ...application(...up("tasks")),
  },
  beat: {
    ...common("beat", "site", "INT"),
    build: to(ground.otherApp, ...up("beat"), "build-other"),
    cwd: to("/usr", ...up("beat")),
    app: to("jobs.celery:app", ...up("beat")),
    loglevel: to("debug", ...up("beat")),
    in: contained(
      "beat",
      ...["beat-process", "beat-files", "volume-test-beat", ...RELAY, ...image("examples/apps/worker")],
    ),
    ...data("beat"),
    ...application(...up("beat")),
  },
  later: {
    ...common("later", "site", "INT"),
    build: to(ground.otherApp, ...up("later"), "build-other"),
    cwd: to("/usr", ...up("later")),
    queues: to(["images"], ...up("later")),
    workers: to(2, ...up("later")),
    withScheduler: to(true, ...up("later")),
    in: contained("later", "later-process", "later-files", ...RELAY, ...image("examples/apps/worker")),
    ...application(...up("later")),
  },
  poller: {
    ...common("poller", "site", "INT"),
    ready: to({ command: ["true"] }, "poller-ready"),
    build: to(ground.otherApp, ...up("poller"), "build-other"),
    cwd: to("/usr", ...up("poller")),
    command: to(["python", "-m", "jobs.poller", "other"], ...up("poller")),
    queue: to("transcribe@cpu", ...up("poller")),
    in: contained("poller", "poller-process", "poller-files", ...RELAY, ...image("examples/apps/worker")),
    ...application(...up("poller")),
  },
  bus: {
    ...common("bus", "db", "INT"),
    enabled: to(false, ...up("bus"), "bus-password"),
    port: to(ground.ports[1], ...up("bus")),
    webSocketPort: to(ground.ports[1], ...up("bus")),
    user: to("other", ...up("bus")),
    password: to("${secret.token}", ...up("bus"), "bus-password"),
    in: contained("bus", "bus-process", "bus-files", "volume-test-bus"),
    ...data("bus"),
  },
  store: {
    ...common("store", "db", "INT"),
    enabled: to(false, ...up("store"), "store-secretKey"),
    port: to(ground.ports[1], ...up("store")),
    buckets: to(["lab", "other"], ...up("store")),
    accessKey: to("other", ...up("store")),
    secretKey: to("${secret.token}", ...up("store"), "store-secretKey"),
    region: to("eu-west-1", ...up("store")),
    in: contained("store", "store-process", "store-files", "volume-test-store"),
    ...data("store"),
  },
  metrics: {
    ...common("metrics", "db", "INT"),
    port: to(ground.ports[1], ...up("metrics")),
    targets: to(added({ chat: "${chat.url}/metrics" }), ...up("metrics")),
    interval: to("30s", ...up("metrics")),
    retention: to("1d", ...up("metrics")),
    retentionSize: to("1GiB", ...up("metrics")),
    in: contained("metrics", "metrics-process", "metrics-files", ...RELAY, "volume-test-metrics"),
    ...data("metrics"),
  },
  site: {
    ...common("site", "db", "INT"),
    enabled: to(false, ...up("site"), "build-examples/apps/web", ...followersOf.site),
    port: to(ground.ports[1], ...up("site"), ...followersOf.site),
    build: to(ground.otherPages, ...up("site"), "build-examples/apps/web", "build-pages"),
    dev: { ...to(true, ...up("site"), "build-examples/apps/web"), planOnly: "its packages are not installed there" },
    in: contained("site", "site-process", "site-files", "build-examples/apps/web", ...image("examples/apps/web")),
  },
  edge: {
    ...common("edge", "db", "INT"),
    port: to(ground.ports[1], ...up("edge")),
    address: to("0.0.0.0", ...up("edge")),
    domain: to("lab.localhost", ...up("edge")),
    routes: to(added({ "/v1/": "${chat.url?}" }), ...up("edge")),
    maxBody: to("1MiB", ...up("edge")),
    in: contained("edge", "edge-process", "edge-files", ...RELAY),
  },
  tick: {
    ...common("tick", "db", "INT"),
    port: to(ground.ports[1], ...up("tick")),
    build: to(ground.app, ...up("tick")),
    cwd: to("/", ...up("tick")),
    command: to(["python3", "-u", "-m", "http.server", "${self.port}", "--bind", "127.0.0.1"], ...up("tick")),
    health: to("/bin/", "tick-ready"),
    in: { value: "container", changes: [], refused: "IMAGE_UNNAMED" },
    ...application(...up("tick")),
  },
});

const everyService = up(
  ...["db", "broker", "chat", "llm", "api", "worker", "tasks", "beat", "later", "poller", "site", "edge", "tick"],
  ...["bus", "store", "metrics"],
);

/** It is sent anew, and what it does proven again. */
export const sent = [LLM_MODEL, "llm-ready"];

export const settingsFields = (ground: Ground): Rows => ({
  in: { value: "container", changes: [], refused: "IMAGE_UNNAMED" },
  data: to("disposable", ...up("db", "broker", "llm", "beat", "bus", "store", "metrics")),
  // Nothing of this stack is in a container.
  networkName: to("other"),
  subnet: to("10.77.1.0/24"),
  // Another owner has other places, so all of the stack is another one; only what is made of content stays.
  id: {
    ...to("fields-other", ...everyService, "migrate-run", "supervisor", "chat-model"),
    // The running stack is a stranger then, and has the ports.
    refusedBeside: "PORT_TAKEN",
  },
  portOffset: to(
    ground.portOffset + 500,
    "migrate-run",
    // tick has its port from the file, and follows what it refers to.
    ...everyService,
  ),
  models: to("small", "chat-model", ...up("chat"), ...sent),
  modelsDir: to(ground.otherModelsDir, "chat-model", ...up("chat"), ...sent),
});

/** Of the model that `chat` serves, and that is sent to `llm`. */
export const modelFields = (ground: Ground): Rows => ({
  file: to(ground.otherModel, "chat-model", ...up("chat"), ...sent),
  sha256: to(ground.modelSha256, "chat-model", ...sent),
  // The file is what counts, and not where it is from.
  source: to({ huggingFace: { repo: "me/model", file: "model.gguf" } }),
  mmproj: {
    ...to("mmproj.gguf", "chat-model", ...up("chat"), ...sent),
    planOnly: "there is no projector for this model",
  },
  missing: to("wait", "chat-model", ...sent),
  stable: to("1s", "chat-model", ...sent),
  waitTimeout: to("5m", "chat-model", ...sent),
});

/** Every row with its path in the stack. */
export const allFields = (ground: Ground): readonly (readonly [path: readonly string[], row: FieldRow])[] => [
  ...Object.entries(serviceFields(ground)).flatMap(([service, rows]) => below(["services", service], rows)),
  ...below(["settings"], settingsFields(ground)),
  ...below(["models", "gemma"], modelFields(ground)),
  ...below(["secrets", "token"], secretFields),
];

const below = (path: readonly string[], rows: Rows) =>
  Object.entries(rows).map(([field, row]) => [[...path, field], row] as const);

/** Other sources of the secret that `tick` gets. */
export const secretFields: Rows = {
  env: to({ env: "FIELDS_OTHER_TOKEN" }, ...up("tick")),
  file: to({ file: "/proc/sys/kernel/ostype" }, ...up("tick")),
  generate: to({ generate: 24 }, "secret-token", ...up("tick")),
};
