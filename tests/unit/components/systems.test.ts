import { describe, expect, it } from "vitest";
import { readStackFile } from "#stack/file.ts";
import { loadStack, type Loaded } from "#stack/load.ts";
import { sectionsOf } from "#stack/sections.ts";
import { context, source } from "#tests/support/stack.ts";

// The files of the systems as shipped, by the figures of the systems.

function loaded(system: string): Loaded {
  const file = readStackFile(process.cwd(), system);
  if ("problems" in file) throw new Error(JSON.stringify(file.problems));
  const { raw } = sectionsOf(file.config);
  const directories = Object.values(raw.services as Record<string, { readonly build?: string }>);
  const sources = new Map(directories.flatMap(({ build }) => (build ? [[build, sourceOf(build)] as const] : [])));
  return loadStack(raw, { ...context, sources });
}

const sourceOf = (build: string) =>
  build.endsWith("mistudio/frontend")
    ? source(build, "node")
    : source(build, "python", { requirements: "c".repeat(64) });

/** One line a service: where it is, what it needs and what it runs. */
function rowsOf(system: string): readonly string[] {
  const found = loaded(system);
  if ("problems" in found) throw new Error(JSON.stringify(found.problems));
  return found.plan.services.map(({ name, ports, external, needs, argv, readyTimeoutMs }) => {
    const [place] = external ? [external] : ports;
    const after = needs.length > 0 ? ` after ${needs.join(", ")}` : "";
    const runs = external ? "external" : argv.map((word) => word.split("/").at(-1)).join(" ");
    return `${name}${place ? `:${place.port}` : ""} ${readyTimeoutMs / 1000} s${after}: ${runs}`;
  });
}

describe("chainlens", () => {
  it("is this stack", () =>
    expect(rowsOf("chainlens")).toEqual([
      "redis:6379 60 s: valkey-server redis.conf",
      "supabase:54321 60 s: python server.py 127.0.0.1 54321",
      "worker 30 s after redis, supabase: dramatiq --processes 1 --threads 1 run_agent_background --verbose",
      "backend:8000 60 s after redis, supabase, worker: uvicorn main:app --host 127.0.0.1 --port 8000",
      "frontend:3000 90 s after backend: python server.py 127.0.0.1 3000",
      "monitor 35 s after backend, frontend, redis, worker: python monitor.py",
    ]));
});

describe("chat-o-llama", () => {
  it("is this stack", () =>
    expect(rowsOf("chat-o-llama")).toEqual([
      "ollama:11434 10 s: external",
      "app:3113 30 s after ollama: python app.py",
    ]));
});

describe("mistudio", () => {
  it("is this stack", () =>
    expect(rowsOf("mistudio")).toEqual([
      "relay:3000 30 s: nginx -p  -c nginx.conf -e stderr -g daemon off;",
      "mistudio-postgres:5432 60 s: sh start.sh",
      "mistudio-redis:6379 60 s: valkey-server redis.conf",
      "mistudio-ollama:11434 300 s: ollama serve",
      "mistudio-nginx:80 30 s after relay: nginx -p  -c nginx.conf -e stderr -g daemon off;",
      "migrations 600 s after mistudio-postgres: alembic upgrade head",
      "celery-worker 60 s after migrations, mistudio-postgres, mistudio-redis: celery -A src.core.celery_app worker -n celery-worker@test -P prefork -c 2 -l INFO",
      "celery-beat 60 s after celery-worker, mistudio-postgres, mistudio-redis: celery -A src.core.celery_app beat -s celerybeat-schedule --pidfile beat.pid --max-interval 1 -l INFO",
      "backend:8000 60 s after celery-worker, migrations, mistudio-postgres, mistudio-redis: uvicorn src.main:app --host 127.0.0.1 --port 8000 --reload",
      "frontend:3000 60 s after backend: npm run dev -- --host 127.0.0.1 --port 3000 --strictPort",
    ]));
});
