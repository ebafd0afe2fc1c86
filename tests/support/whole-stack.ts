import type { RawStack } from "#stack/load.ts";

/** What the whole stack needs of the machine that it is planned for, or run on. */
export interface Ground {
  /** Directories of two applications, and of two sets of pages. */
  readonly app: string;
  readonly otherApp: string;
  /** Directory of the application with workers of Celery, RQ and none. */
  readonly jobs: string;
  readonly pages: string;
  readonly otherPages: string;
  /** Directory and name of a model file; `otherModel` lies beside it and `otherModelsDir` holds `model` too. */
  readonly modelsDir: string;
  readonly otherModelsDir: string;
  readonly model: string;
  readonly otherModel: string;
  readonly modelSha256: string;
  readonly portOffset: number;
  /** Free ports, that no service has by its default. */
  readonly ports: readonly number[];
}

/** On which nothing is real, for plans. */
export const paperGround: Ground = {
  app: "./app",
  otherApp: "./app",
  jobs: "./app",
  pages: "./pages",
  otherPages: "./pages",
  modelsDir: "./models",
  otherModelsDir: "./models",
  model: "gemma.gguf",
  otherModel: "other.gguf",
  modelSha256: "",
  portOffset: 100,
  ports: [7000],
};

/** One service of each kind, chained as a real stack is; every reference may go missing. */
export const wholeStack = (ground: Ground) =>
  ({
    settings: { portOffset: ground.portOffset, modelsDir: ground.modelsDir },
    models: { gemma: { file: ground.model }, other: { file: ground.otherModel } },
    secrets: { token: { env: "FIELDS_TOKEN" } },
    services: {
      db: { kind: "postgres" },
      broker: { kind: "redis" },
      chat: { kind: "llama-server", model: "gemma", contextSize: 512 },
      llm: { kind: "ollama", models: [{ from: "gemma" }] },
      migrate: {
        kind: "job",
        build: ground.app,
        command: ["alembic", "upgrade", "head"],
        env: { DATABASE_URL: "${db.url?}" },
      },
      api: {
        kind: "web",
        build: ground.app,
        command: ["uvicorn", "app.main:app", "--port", "${self.port}"],
        needs: ["migrate?"],
        env: { DATABASE_URL: "${db.url?}", REDIS_URL: "${broker.url?}", LLM_URL: "${chat.url?}" },
      },
      worker: {
        kind: "dramatiq-worker",
        build: ground.app,
        module: "app.tasks",
        threads: 1,
        needs: ["migrate?"],
        env: { DATABASE_URL: "${db.url?}", REDIS_URL: "${broker.url?}", LLM_URL: "${chat.url?}" },
      },
      tasks: {
        kind: "celery-worker",
        build: ground.jobs,
        app: "jobs",
        env: { CELERY_BROKER_URL: "${broker.url?}" },
      },
      beat: { kind: "celery-beat", build: ground.jobs, app: "jobs", env: { CELERY_BROKER_URL: "${broker.url?}" } },
      later: { kind: "rq-worker", build: ground.jobs, env: { RQ_REDIS_URL: "${broker.url?}" } },
      poller: {
        kind: "worker",
        build: ground.jobs,
        queue: "transcribe@gpu",
        command: ["python", "-m", "jobs.poller", "${self.queue}"],
        ready: { command: ["python", "-m", "jobs.poller", "${self.queue}", "--check"] },
        env: { REDIS_URL: "${broker.url?}" },
      },
      bus: { kind: "mqtt" },
      store: { kind: "object-store", buckets: ["lab"] },
      metrics: { kind: "prometheus", targets: { api: "${api.url?}/metrics" } },
      site: { kind: "frontend", build: ground.pages },
      edge: { kind: "nginx", routes: { "/": "${site.url?}", "/api/": "${api.url?}" } },
      tick: {
        kind: "process",
        command: ["python3", "-m", "http.server", "${self.port}", "--bind", "127.0.0.1"],
        cwd: "/usr",
        port: ground.ports[0],
        health: "/",
        env: { API: "${api.url?}", TOKEN: "${secret.token}" },
      },
    },
  }) satisfies RawStack;

/** The same in containers. */
export const containedStack = (ground: Ground) => {
  const { settings, services, ...others } = wholeStack(ground);
  const tick = {
    ...services.tick,
    image: "python:3",
    command: ["python3", "-m", "http.server", "${self.port}", "--bind", "${self.listen}"],
  };
  return { ...others, settings: { ...settings, in: "container" }, services: { ...services, tick } } satisfies RawStack;
};

/** The kinds that only ship as images, most of which no machine without a registry can run. */
export const imageStack = (ground: Ground) =>
  ({
    settings: { portOffset: ground.portOffset },
    secrets: { token: { env: "FIELDS_TOKEN" } },
    services: {
      logs: { kind: "loki" },
      board: { kind: "grafana", datasources: { logs: { type: "loki", url: "${logs.url?}" } } },
      ship: { kind: "alloy", loki: "${logs.url}", logs: "containers" },
      box: {
        kind: "container",
        image: "app:1",
        port: ground.ports[0],
        command: ["app"],
        env: { TOKEN: "${secret.token}", BOARD: "${board.url?}" },
        volumes: { data: "/data" },
      },
    },
  }) satisfies RawStack;
