import type { Kind } from "./kind.ts";
import { alloy } from "./alloy/plan.ts";
import { celeryBeat } from "./celery-beat/plan.ts";
import { celeryWorker } from "./celery-worker/plan.ts";
import { container } from "./container/plan.ts";
import { dramatiqWorker } from "./dramatiq-worker/plan.ts";
import { frontend } from "./frontend/plan.ts";
import { grafana } from "./grafana/plan.ts";
import { job } from "./job/plan.ts";
import { llamaServer } from "./llama-server/plan.ts";
import { loki } from "./loki/plan.ts";
import { mqtt } from "./mqtt/plan.ts";
import { nginx } from "./nginx/plan.ts";
import { objectStore } from "./object-store/plan.ts";
import { ollama } from "./ollama/plan.ts";
import { postgres } from "./postgres/plan.ts";
import { process } from "./process/plan.ts";
import { prometheus } from "./prometheus/plan.ts";
import { redis } from "./redis/plan.ts";
import { rqWorker } from "./rq-worker/plan.ts";
import { web } from "./web/plan.ts";
import { worker } from "./worker/plan.ts";

/** Every kind of service, by its name in the stack file. */
export const catalog: Readonly<Record<string, Kind>> = {
  postgres,
  redis,
  "llama-server": llamaServer,
  ollama,
  nginx,
  web,
  frontend,
  "celery-worker": celeryWorker,
  "celery-beat": celeryBeat,
  "dramatiq-worker": dramatiqWorker,
  "rq-worker": rqWorker,
  worker,
  job,
  process,
  "object-store": objectStore,
  mqtt,
  prometheus,
  grafana,
  loki,
  alloy,
  container,
};
