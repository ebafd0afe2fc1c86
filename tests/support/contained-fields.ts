import {
  added,
  AT_BROKER,
  card,
  KIND,
  LLM_MODEL,
  misplaced,
  sent,
  to,
  type FieldChange,
  type Rows,
  type ServiceName,
} from "./fields.ts";
import type { Ground } from "./whole-stack.ts";

// As fields.ts, of the stack whose services are all in containers.

/** A container made anew, and the proof of it. */
const up = (...services: readonly string[]): readonly string[] =>
  services.flatMap((service) => [
    `${service}-container`,
    `${service}-ready`,
    ...(service === "llm" ? [LLM_MODEL] : []),
  ]);
/** The same, with other files. */
const whole = (...services: readonly string[]): readonly string[] =>
  services.flatMap((service) => [`${service}-files`, ...up(service)]);
/** It takes other files while it runs. */
const taken = (...services: readonly string[]): readonly string[] =>
  services.flatMap((service) => [`${service}-files`, `${service}-ready`]);
const image = (directory: string): readonly string[] => [`image-${directory}`, `image-${directory}-context`];

const HAS_FILES: ReadonlySet<ServiceName> = new Set([
  "db",
  "broker",
  "migrate",
  "api",
  "worker",
  "bus",
  "store",
  "metrics",
  "tasks",
  "beat",
  "later",
  "poller",
  "site",
  "edge",
  "tick",
]);
const made = (service: ServiceName): readonly string[] => (HAS_FILES.has(service) ? whole(service) : up(service));

/** Whose settings hold the address of a service, with its secret in a file or, where it has none, in the open. */
const followersOf: Readonly<Record<ServiceName, readonly string[]>> = {
  db: whole("migrate", "api", "worker"),
  broker: whole("api", "worker", "tasks", "beat", "later", "poller"),
  chat: up("api", "worker"),
  llm: [],
  migrate: [],
  api: [...taken("edge"), ...up("tick"), ...whole("metrics")],
  site: taken("edge"),
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
};

const SUPERVISOR = "supervisor";
/** Of this host, with all that it takes; `also` follows from that. */
const onHost = (service: ServiceName, ...also: readonly string[]): FieldChange =>
  to("host", ...made(service), "containers", SUPERVISOR, ...also);
const process = (...services: readonly string[]): readonly string[] =>
  services.flatMap((service) => [`${service}-process`, `${service}-ready`]);
/** Brings containers to it. */
const RELAY = process("relay");

/** Fields of every kind, jobs too. */
const base = (service: ServiceName): Rows => ({
  kind: KIND,
  enabled: to(false, ...made(service), "containers", ...followersOf[service]),
  required: to(false, `${service}-ready`),
  env: to(added({ EXTRA: "1" }), ...up(service)),
  envFile: to("./app.env", ...up(service), `${service}-files`),
  // Only an order.
  doesNotWaitFor: to(["site"]),
  logFile: misplaced("/tmp/engineroom-fields.log"),
  memory: to("3GiB", ...up(service)),
  cpus: to(1.5, ...up(service)),
  containerName: to("other", ...up(service), "containers"),
});

/** Fields of every kind that stays up. */
const common = (service: ServiceName, need: ServiceName, signal: string): Rows => ({
  ...base(service),
  // Only an order: nobody waits at a gate, the engine of Pulumi starts them one after the other.
  needs: to((needs: unknown) => [...((needs as string[] | undefined) ?? []), need]),
  errorLog: misplaced("/tmp/engineroom-fields.err"),
  pidFile: misplaced("/tmp/engineroom-fields.pid"),
  restart: to("on-failure", ...up(service)),
  ready: to({ timeout: "99s" }, `${service}-ready`),
  stopSignal: to(signal, ...up(service)),
  stopGrace: to("7s", ...up(service)),
});

const data = (service: ServiceName): Rows => ({
  // Whether it is kept is no input of the volume.
  data: to("disposable", `${service}-ready`),
  volumeName: to("other", `volume-test-${service}`, "volume-other", ...up(service)),
});

const application = (service: ServiceName): Rows => ({
  // How a container is given its cards, follows from those that are there.
  gpu: card(`${service}-ready`),
  image: { value: "python:3", changes: [], refused: "BUILD_AND_IMAGE" },
  runAs: to("5:5", ...up(service)),
  // Somebody's own image is not known to bear it.
  readOnly: to(service === "tick", ...up(service)),
  capabilities: to(["CAP_CHOWN"], ...up(service)),
  cwd: to("/usr/lib", ...up(service)),
});

/** One row for each field of each kind's settings, by the service that has this kind in the whole stack. */
export const containedFields = (ground: Ground): Readonly<Record<ServiceName, Rows>> => ({
  db: {
    ...common("db", "broker", "QUIT"),
    in: onHost("db", "db-process", "volume-test-db", ...RELAY, ...followersOf.db),
    enabled: to(false, ...whole("db"), "db-password", "volume-test-db", "containers", ...followersOf.db),
    port: to(ground.ports[1], ...up("db"), ...followersOf.db),
    database: to("other", ...up("db"), ...followersOf.db),
    user: to("other", ...whole("db"), ...followersOf.db),
    password: to("${secret.token}", ...whole("db"), "db-password", ...followersOf.db),
    maxConnections: to(50, ...up("db")),
    sharedBuffers: to("64MiB", ...up("db")),
    ...data("db"),
  },
  broker: {
    ...common("broker", "db", "INT"),
    in: onHost("broker", "broker-process", "volume-test-broker", ...RELAY, ...followersOf.broker),
    enabled: { value: false, changes: [], refused: "WORKER_WITHOUT_BROKER" },
    port: to(ground.ports[1], ...whole("broker"), ...followersOf.broker),
    role: { value: "cache", changes: [], refused: "BROKER_EVICTS" },
    password: to("${secret.token}", ...whole("broker"), "broker-password", ...followersOf.broker),
    maxMemory: to("64MiB", ...whole("broker")),
    ...data("broker"),
  },
  chat: {
    ...common("chat", "db", "INT"),
    in: onHost("chat", "chat-process", ...RELAY, ...followersOf.chat),
    enabled: to(false, ...up("chat"), "chat-model", "containers", ...followersOf.chat),
    port: to(ground.ports[1], ...up("chat"), ...followersOf.chat),
    model: to("other", ...up("chat"), "chat-model"),
    contextSize: to(256, ...up("chat")),
    threads: to(1, ...up("chat")),
    gpu: card(...up("chat")),
    gpuLayers: to(0, ...up("chat")),
    chatTemplate: to("{{ messages[0].content }}", ...whole("chat")),
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
  },
  llm: {
    ...common("llm", "db", "INT"),
    in: onHost("llm", "llm-process", "volume-test-llm"),
    enabled: to(false, ...up("llm"), "volume-test-llm", "containers"),
    required: to(false, ...sent),
    ready: to({ timeout: "99s" }, ...sent),
    port: to(ground.ports[1], ...up("llm")),
    models: to([{ from: "gemma", name: "small" }], ...sent, "llm-model-small:latest"),
    keepAlive: to("forever", ...up("llm")),
    contextLength: to(512, ...up("llm")),
    numParallel: to(2, ...up("llm")),
    maxLoadedModels: to(1, ...up("llm")),
    gpu: card(...sent),
    flashAttention: to(true, ...up("llm")),
    kvCacheType: to("q8_0", ...up("llm")),
    ...data("llm"),
    data: to("disposable", ...sent),
  },
  migrate: {
    ...base("migrate"),
    // Its application's image is that of others too.
    in: onHost("migrate", "migrate-run", "build-examples/apps/api"),
    // It notes the data that it runs on.
    needs: to(["broker"], "migrate-ready"),
    ...application("migrate"),
    build: to(ground.otherApp, ...up("migrate"), ...image("other")),
    command: to(["alembic", "current"], ...up("migrate")),
    timeout: to("99s", "migrate-ready"),
  },
  api: {
    ...common("api", "site", "INT"),
    in: onHost("api", "api-process", "build-examples/apps/api", ...RELAY, ...followersOf.api, ...up("edge")),
    ...application("api"),
    port: to(ground.ports[1], ...up("api"), ...followersOf.api),
    build: to(ground.otherApp, ...up("api"), ...image("other")),
    command: to(["uvicorn", "app.main:app", "--port=${self.port}"], ...up("api")),
    health: to("/api/health", "api-ready"),
    dev: misplaced(true),
  },
  worker: {
    ...common("worker", "site", "INT"),
    in: onHost("worker", "worker-process", "build-examples/apps/api"),
    ...application("worker"),
    build: to(ground.otherApp, ...up("worker"), ...image("other")),
    module: to("app.main", ...up("worker")),
    processes: to(2, ...up("worker")),
    verbose: to(true, ...up("worker")),
    threads: to(2, ...up("worker")),
    queues: to(["default"], ...up("worker")),
  },
  tasks: {
    ...common("tasks", "site", "INT"),
    in: onHost("tasks", "tasks-process", "build-examples/apps/worker"),
    ...application("tasks"),
    build: to(ground.otherApp, ...up("tasks"), ...image("other")),
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
  },
  beat: {
    ...common("beat", "site", "INT"),
    in: onHost("beat", "beat-process", "volume-test-beat", "build-examples/apps/worker"),
    enabled: to(false, ...whole("beat"), "volume-test-beat", "containers"),
    ...application("beat"),
    build: to(ground.otherApp, ...up("beat"), ...image("other")),
    app: to("jobs.celery:app", ...up("beat")),
    loglevel: to("debug", ...up("beat")),
    ...data("beat"),
  },
  later: {
    ...common("later", "site", "INT"),
    in: onHost("later", "later-process", "build-examples/apps/worker"),
    ...application("later"),
    build: to(ground.otherApp, ...up("later"), ...image("other")),
    queues: to(["images"], ...up("later")),
    workers: to(2, ...up("later")),
    withScheduler: to(true, ...up("later")),
  },
  poller: {
    ...common("poller", "site", "INT"),
    in: onHost("poller", "poller-process", "build-examples/apps/worker"),
    ...application("poller"),
    ready: to({ command: ["true"] }, "poller-ready"),
    build: to(ground.otherApp, ...up("poller"), ...image("other")),
    command: to(["python", "-m", "jobs.poller", "other"], ...up("poller")),
    queue: to("transcribe@cpu", ...up("poller")),
  },
  bus: {
    ...common("bus", "db", "INT"),
    in: onHost("bus", "bus-process", "volume-test-bus"),
    enabled: to(false, ...whole("bus"), "bus-password", "volume-test-bus", "containers"),
    port: to(ground.ports[1], ...whole("bus")),
    webSocketPort: to(ground.ports[1], ...whole("bus")),
    user: to("other", ...whole("bus")),
    password: to("${secret.token}", ...whole("bus"), "bus-password"),
    ...data("bus"),
  },
  store: {
    ...common("store", "db", "INT"),
    in: onHost("store", "store-process", "volume-test-store"),
    enabled: to(false, ...whole("store"), "store-secretKey", "volume-test-store", "containers"),
    port: to(ground.ports[1], ...up("store")),
    buckets: to(["lab", "other"], ...up("store")),
    accessKey: to("other", ...up("store")),
    secretKey: to("${secret.token}", ...whole("store"), "store-secretKey"),
    region: to("eu-west-1", ...up("store")),
    ...data("store"),
  },
  metrics: {
    ...common("metrics", "db", "INT"),
    in: onHost("metrics", "metrics-process", "volume-test-metrics"),
    enabled: to(false, ...whole("metrics"), "volume-test-metrics", "containers"),
    port: to(ground.ports[1], ...whole("metrics")),
    targets: to(added({ chat: "${chat.url}/metrics" }), ...whole("metrics")),
    interval: to("30s", ...whole("metrics")),
    retention: to("1d", ...up("metrics")),
    retentionSize: to("1GiB", ...up("metrics")),
    ...data("metrics"),
  },
  site: {
    ...common("site", "db", "INT"),
    in: onHost(
      "site",
      ...["site-process", "build-examples/apps/web", ...image("examples/apps/web"), ...RELAY],
      ...followersOf.site,
      ...up("edge"),
    ),
    enabled: to(false, ...whole("site"), ...image("examples/apps/web"), "containers", ...followersOf.site),
    port: to(ground.ports[1], ...whole("site"), ...followersOf.site),
    build: to(ground.otherPages, ...up("site"), ...image("examples/apps/web"), ...image("pages")),
    dev: misplaced(true),
  },
  edge: {
    ...common("edge", "db", "INT"),
    in: onHost("edge", "edge-process"),
    port: to(ground.ports[1], ...whole("edge")),
    address: to("0.0.0.0", ...up("edge")),
    domain: to("lab.localhost", ...taken("edge")),
    routes: to(added({ "/v1/": "${chat.url?}" }), ...taken("edge")),
    maxBody: to("1MiB", ...taken("edge")),
  },
  tick: {
    ...common("tick", "db", "INT"),
    in: { value: "host", changes: [], refused: "STACK_PLACE" },
    ...application("tick"),
    port: to(ground.ports[1], ...up("tick")),
    build: { value: ground.app, changes: [], refused: "BUILD_AND_IMAGE" },
    image: to("python:4", ...up("tick")),
    command: to(["python3", "-u", "-m", "http.server", "${self.port}"], ...up("tick")),
    health: to("/bin/", "tick-ready"),
  },
});

const everyContainer = up(
  ...["db", "broker", "chat", "llm", "migrate", "api", "worker", "tasks", "beat", "later", "poller"],
  ...["site", "edge", "tick", "bus", "store", "metrics"],
);

export const containedSettings = (ground: Ground): Rows => ({
  in: { value: "host", changes: [], refused: "STACK_PLACE" },
  data: to(
    "disposable",
    ...["db-ready", "broker-ready", "beat-ready", "bus-ready", "store-ready", "metrics-ready"],
    ...sent,
  ),
  networkName: to("other", "network", ...everyContainer),
  subnet: to("10.77.1.0/24", "network", ...everyContainer),
  // Another owner has other places, names and labels; only what is made of content stays.
  id: to(
    "fields-other",
    "chat-model",
    ...everyContainer,
    ...[...HAS_FILES].map((service) => `${service}-files`),
    ...["network", "containers", "volume-test-db", "volume-test-broker", "volume-test-llm"],
    ...["volume-test-bus", "volume-test-store", "volume-test-metrics"],
    ...["volume-test-beat", "image-examples/apps/api", "image-examples/apps/worker", "image-examples/apps/web"],
  ),
  // Inside of the network nobody sees it; tick has its port from the file.
  portOffset: to(
    ground.portOffset + 500,
    ...up("db", "broker", "chat", "llm", "api", "bus", "store", "metrics", "site", "edge"),
    ...AT_BROKER,
  ),
  models: to("small", "chat-model", ...up("chat"), ...sent),
  modelsDir: to(ground.otherModelsDir, "chat-model", ...up("chat"), ...sent),
});

export const containedModel = (ground: Ground): Rows => ({
  file: to(ground.otherModel, "chat-model", ...up("chat"), ...sent),
  sha256: to(ground.modelSha256, "chat-model", ...sent),
  // The file is what counts, and not where it is from.
  source: to({ huggingFace: { repo: "me/model", file: "model.gguf" } }),
  mmproj: to("mmproj.gguf", "chat-model", ...up("chat"), ...sent),
  missing: to("wait", "chat-model", ...sent),
  stable: to("1s", "chat-model", ...sent),
  waitTimeout: to("5m", "chat-model", ...sent),
});

/** Other sources of the secret that `tick` gets. */
export const containedSecret: Rows = {
  env: to({ env: "FIELDS_OTHER_TOKEN" }, ...whole("tick")),
  file: to({ file: "/proc/sys/kernel/ostype" }, ...whole("tick")),
  generate: to({ generate: 24 }, "secret-token", ...whole("tick")),
};
