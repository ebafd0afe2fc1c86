import { describe, expect, it } from "vitest";
import type { RawStack } from "#stack/load.ts";
import { problemLine } from "#stack/problems.ts";
import { planOf, problemsOf, serviceOf } from "#tests/support/stack.ts";

const web = { kind: "web", command: ["run"] };
const linesOf = (raw: RawStack): readonly string[] => problemsOf(raw).map(problemLine);
/** Services beside one that is right. */
const beside = (services: Record<string, unknown>): RawStack => ({ services: { ok: web, ...services } });
const withKey = (extra: Record<string, unknown>): RawStack => ({ services: { web: { ...web, ...extra } } });
const KINDS =
  "postgres, redis, llama-server, ollama, nginx, web, frontend, celery-worker, celery-beat, dramatiq-worker, rq-worker, worker, job, process, object-store, mqtt, prometheus, grafana, loki, alloy, container";
const WEB_KEYS =
  "kind, in, enabled, required, needs, doesNotWaitFor, env, envFile, logFile, memory, cpus, containerName, errorLog, restart, ready, " +
  "stopSignal, stopGrace, pidFile, port, gpu, build, image, runAs, readOnly, capabilities, cwd, command, dev, health";
const SERVICE_NAME =
  "a name of at most 31 lower-case letters, digits and hyphens, a letter first, and not `self`, `secret` or `relay`";
const SECRET = "an encrypted value, or one of { env: NAME }, { file: PATH }, { generate: 32 }";

type Case = readonly [what: string, raw: RawStack, lines: readonly string[]];

describe("sections", () => {
  it.each<Case>([
    [
      "nothing at all",
      {},
      [
        "services: expected at least one service, got none. Fix: add one under engineroom:services, as Pulumi.local.yaml does [STACK_EMPTY]",
      ],
    ],
    [
      "no service",
      { services: {} },
      [
        "services: expected at least one service, got none. Fix: add one under engineroom:services, as Pulumi.local.yaml does [STACK_EMPTY]",
      ],
    ],
    [
      "an empty section",
      { services: null },
      [
        "services: expected at least one service, got none. Fix: add one under engineroom:services, as Pulumi.local.yaml does [STACK_EMPTY]",
      ],
    ],
    [
      "services as a list",
      { services: [web] },
      [
        "services: expected names with their settings, got a list. Fix: write engineroom:services: { NAME: { … } } [STACK_TYPE]",
      ],
    ],
    [
      "services as a text",
      { services: "web" },
      [
        'services: expected names with their settings, got `"web"`. Fix: write engineroom:services: { NAME: { … } } [STACK_TYPE]',
      ],
    ],
    [
      "models as a list",
      { models: ["a.gguf"], ...beside({}) },
      [
        "models: expected names with their settings, got a list. Fix: write engineroom:models: { NAME: { … } } [STACK_TYPE]",
      ],
    ],
    [
      "secrets as a text",
      { secrets: "hunter2", ...beside({}) },
      [
        "secrets: expected names with their settings, got a text (not shown). Fix: write engineroom:secrets: { NAME: { … } } [STACK_TYPE]",
      ],
    ],
    [
      "settings as a list",
      { settings: [], ...beside({}) },
      ["settings: expected a map of keys and values, got a list. Fix: correct settings [STACK_VALUE]"],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));

  it("empty sections are no problem beside a service", () =>
    expect(problemsOf({ settings: null, models: null, secrets: null, services: { web } })).toEqual([]));
});

describe("settings and models", () => {
  it.each<Case>([
    [
      "a misspelt key",
      { settings: { portOfset: 1 } },
      [
        "settings.portOfset: expected one of in, id, portOffset, modelsDir, models, data, networkName, subnet, got `portOfset`. Fix: did you mean `portOffset`? [STACK_KEY]",
      ],
    ],
    [
      "a number in quotes",
      { settings: { portOffset: "10000" } },
      [
        'settings.portOffset: expected a whole number, got `"10000"`. Fix: write it without quotes: 10000 [STACK_VALUE]',
      ],
    ],
    [
      "a fraction",
      { settings: { portOffset: 1.5 } },
      ["settings.portOffset: expected a whole number, got `1.5`. Fix: correct settings.portOffset [STACK_VALUE]"],
    ],
    [
      "out of range",
      { settings: { portOffset: 60_001 } },
      ["settings.portOffset: expected at most 60000, got `60001`. Fix: correct settings.portOffset [STACK_VALUE]"],
    ],
    [
      "an id that is no name",
      { settings: { id: "My Lab" } },
      [
        'settings.id: expected at most 31 lower-case letters, digits and hyphens, got `"My Lab"`. Fix: correct settings.id [STACK_VALUE]',
      ],
    ],
    ...["10.77.1.0/16", "10.77.1.5/24", "300.1.1.0/24", "10.0.0.0/8", "10.77.1.0", "10.77.1.0/25"].map(
      (subnet): Case => [
        `a subnet ${subnet}`,
        { settings: { subnet } },
        [
          `settings.subnet: expected a network's own address and 16 to 24 bits, such as 10.77.1.0/24, got \`"${subnet}"\`. Fix: correct settings.subnet [STACK_VALUE]`,
        ],
      ],
    ),
    [
      "where nothing can run",
      { settings: { in: "vm" } },
      ['settings.in: expected one of host, container, got `"vm"`. Fix: choose one of the list [STACK_VALUE]'],
    ],
    [
      "a model that is a text",
      { models: { m: "a.gguf" } },
      ['models.m: expected a map of keys and values, got `"a.gguf"`. Fix: correct models.m [STACK_VALUE]'],
    ],
    [
      "a model without a file",
      { models: { m: { fil: "a" } } },
      [
        "models.m.file: expected a text, got nothing. Fix: add models.m.file [STACK_VALUE]",
        "models.m.fil: expected one of file, sha256, source, mmproj, missing, stable, waitTimeout, got `fil`. Fix: did you mean `file`? [STACK_KEY]",
      ],
    ],
    [
      "a short hash",
      { models: { m: { file: "a", sha256: "abc" } } },
      [
        'models.m.sha256: expected 64 hex digits, as `sha256sum` prints them, got `"abc"`. Fix: correct models.m.sha256 [STACK_VALUE]',
      ],
    ],
    [
      "a name with a comma",
      { models: { "a,b": { file: "a" } } },
      [
        'models.a,b: expected a name of at most 64 letters, digits and `.:_-`, a letter or digit first, got `"a,b"`. Fix: rename it to `a-b` [STACK_NAME]',
      ],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf({ ...raw, ...beside({}) })).toEqual(lines));

  it("a model's name may be that of its maker", () =>
    expect(problemsOf({ models: { "Qwen2.5-7B_Instruct:Q4": { file: "a" } }, ...beside({}) })).toEqual([]));
});

describe("a service", () => {
  it.each<Case>([
    [
      "empty",
      beside({ a: null }),
      [
        "services.a: expected a map with `kind` and its settings, got an empty value. Fix: write a: { kind: … } [STACK_TYPE]",
      ],
    ],
    [
      "a text",
      beside({ a: "redis" }),
      [
        "services.a: expected a map with `kind` and its settings, got a text (not shown). Fix: write a: { kind: … } [STACK_TYPE]",
      ],
    ],
    [
      "a list",
      beside({ a: [web] }),
      ["services.a: expected a map with `kind` and its settings, got a list. Fix: write a: { kind: … } [STACK_TYPE]"],
    ],
    [
      "without a kind",
      beside({ a: {} }),
      [`services.a.kind: expected one of ${KINDS}, got nothing. Fix: choose a kind of the list [STACK_KIND]`],
    ],
    [
      "of an unknown kind",
      beside({ a: { kind: "postgress" } }),
      [`services.a.kind: expected one of ${KINDS}, got \`"postgress"\`. Fix: did you mean \`postgres\`? [STACK_KIND]`],
    ],
    [
      "of a kind that every object has",
      beside({ a: { kind: "toString" } }),
      [`services.a.kind: expected one of ${KINDS}, got \`"toString"\`. Fix: choose a kind of the list [STACK_KIND]`],
    ],
    [
      "of a kind that is a list",
      beside({ a: { kind: ["web"] } }),
      [`services.a.kind: expected one of ${KINDS}, got a list. Fix: choose a kind of the list [STACK_KIND]`],
    ],
    [
      "with a name in capitals",
      beside({ Api: { ...web, port: 1 } }),
      [`services.Api: expected ${SERVICE_NAME}, got \`"Api"\`. Fix: rename it to \`api\` [STACK_NAME]`],
    ],
    [
      "with a name of its own meaning",
      beside({ self: { ...web, port: 1 } }),
      [`services.self: expected ${SERVICE_NAME}, got \`"self"\`. Fix: rename it [STACK_NAME]`],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));
});

describe("a key of a service", () => {
  it.each<Case>([
    [
      "unknown",
      withKey({ prot: 1 }),
      [`services.web.prot: expected one of ${WEB_KEYS}, got \`prot\`. Fix: did you mean \`port\`? [STACK_KEY]`],
    ],
    [
      "unknown, far from any",
      withKey({ zebra: 1 }),
      [`services.web.zebra: expected one of ${WEB_KEYS}, got \`zebra\`. Fix: remove it [STACK_KEY]`],
    ],
    [
      "unknown, further in",
      withKey({ ready: { timout: "5s" } }),
      ["services.web.ready.timout: expected one of timeout, got `timout`. Fix: did you mean `timeout`? [STACK_KEY]"],
    ],
    [
      "a port too high",
      withKey({ port: 70_000 }),
      ["services.web.port: expected a port 1-65535, got `70000`. Fix: correct services.web.port [STACK_VALUE]"],
    ],
    [
      "port 0",
      withKey({ port: 0 }),
      ["services.web.port: expected a port 1-65535, got `0`. Fix: correct services.web.port [STACK_VALUE]"],
    ],
    [
      "a port in quotes",
      withKey({ port: "80" }),
      ['services.web.port: expected a port 1-65535, got `"80"`. Fix: write it without quotes: 80 [STACK_VALUE]'],
    ],
    [
      "no CPU",
      withKey({ cpus: 0 }),
      [
        "services.web.cpus: expected a number of CPUs, such as 1.5, got `0`. Fix: correct services.web.cpus [STACK_VALUE]",
      ],
    ],
    [
      "CPUs in quotes",
      withKey({ cpus: "1.5" }),
      [
        'services.web.cpus: expected a number of CPUs, such as 1.5, got `"1.5"`. Fix: write it without quotes: 1.5 [STACK_VALUE]',
      ],
    ],
    [
      "an image with a space",
      withKey({ image: "my app" }),
      [
        'services.web.image: expected an image\'s name, such as `ghcr.io/me/app:1.2@sha256:…`, got `"my app"`. Fix: correct services.web.image [STACK_VALUE]',
      ],
    ],
    [
      "an account instead of its number",
      withKey({ runAs: "root" }),
      [
        'services.web.runAs: expected a user id, or `uid:gid`, in quotes, got `"root"`. Fix: correct services.web.runAs [STACK_VALUE]',
      ],
    ],
    [
      "an account without quotes",
      withKey({ runAs: 1000 }),
      ["services.web.runAs: expected a text, got `1000`. Fix: write it in quotes [STACK_VALUE]"],
    ],
    [
      "a capability in short",
      withKey({ capabilities: ["NET_ADMIN"] }),
      [
        'services.web.capabilities.0: expected a capability, such as `CAP_NET_BIND_SERVICE`, got `"NET_ADMIN"`. Fix: correct services.web.capabilities.0 [STACK_VALUE]',
      ],
    ],
    [
      "a container's name with a slash",
      withKey({ containerName: "a/b" }),
      [
        'services.web.containerName: expected a name of letters, digits and `_.-`, a letter or digit first, got `"a/b"`. Fix: correct services.web.containerName [STACK_VALUE]',
      ],
    ],
    [
      "no command",
      { services: { web: { kind: "web" } } },
      ["services.web.command: expected a list, got nothing. Fix: add services.web.command [STACK_VALUE]"],
    ],
    [
      "a command as a text",
      withKey({ command: "run x" }),
      ['services.web.command: expected a list, got `"run x"`. Fix: write it as a list: [ … ] [STACK_VALUE]'],
    ],
    [
      "an empty command",
      withKey({ command: [] }),
      ["services.web.command: expected at least 1 item, got a list. Fix: correct services.web.command [STACK_VALUE]"],
    ],
    [
      "a number in a command",
      withKey({ command: ["sleep", 5] }),
      ["services.web.command.1: expected a text, got `5`. Fix: write it in quotes [STACK_VALUE]"],
    ],
    [
      "yes for true",
      withKey({ enabled: "yes" }),
      ['services.web.enabled: expected true or false, got `"yes"`. Fix: correct services.web.enabled [STACK_VALUE]'],
    ],
    [
      "needs as a text",
      withKey({ needs: "db" }),
      ['services.web.needs: expected a list, got `"db"`. Fix: write it as a list: [ … ] [STACK_VALUE]'],
    ],
    [
      "a size without unit",
      withKey({ memory: "512" }),
      [
        'services.web.memory: expected a size such as `512MiB` or `2GB`, got `"512"`. Fix: correct services.web.memory [STACK_VALUE]',
      ],
    ],
    [
      "less memory than an engine takes",
      withKey({ memory: "5MiB" }),
      [
        'services.web.memory: expected at least 6MiB: no engine takes a lower limit, got `"5MiB"`. Fix: correct services.web.memory [STACK_VALUE]',
      ],
    ],
    [
      "a time without unit",
      withKey({ stopGrace: 10 }),
      [
        "services.web.stopGrace: expected a time such as `90s`, `500ms` or `10m`, got `10`. Fix: correct services.web.stopGrace [STACK_VALUE]",
      ],
    ],
    [
      "a word of no choice",
      withKey({ restart: "alwys" }),
      [
        'services.web.restart: expected one of always, on-failure, no, got `"alwys"`. Fix: did you mean `always`? [STACK_VALUE]',
      ],
    ],
    [
      "an empty value",
      withKey({ port: null }),
      [
        "services.web.port: expected a port 1-65535, got an empty value. Fix: give it a value, or remove the key [STACK_VALUE]",
      ],
    ],
    [
      "an empty variable",
      withKey({ env: { A: null } }),
      [
        'services.web.env.A: expected a text, a number, true or false (`""` for an empty text), got an empty value. Fix: give it a value, or remove the key [STACK_VALUE]',
      ],
    ],
    [
      "a list as a variable",
      withKey({ env: { A: ["hunter2"] } }),
      [
        'services.web.env.A: expected a text, a number, true or false (`""` for an empty text), got a list. Fix: correct services.web.env.A [STACK_VALUE]',
      ],
    ],
    [
      "env as a text",
      withKey({ env: "TOKEN=hunter2" }),
      [
        "services.web.env: expected a map of keys and values, got a text (not shown). Fix: correct services.web.env [STACK_VALUE]",
      ],
    ],
    [
      "a variable with a hyphen",
      withKey({ env: { "MY-VAR": "x" } }),
      [
        "services.web.env.MY-VAR: expected a variable's name: letters, digits and `_`, got `MY-VAR`. Fix: correct services.web.env.MY-VAR [STACK_VALUE]",
      ],
    ],
    [
      "a relative health path",
      withKey({ health: "health" }),
      [
        'services.web.health: expected a path that starts with `/`, got `"health"`. Fix: correct services.web.health [STACK_VALUE]',
      ],
    ],
    [
      "a database with a space",
      { services: { db: { kind: "postgres", database: "my app" } } },
      [
        'services.db.database: expected a name of at most 63 letters, digits and `_`, no digit first, got `"my app"`. Fix: correct services.db.database [STACK_VALUE]',
      ],
    ],
    [
      "an address that is a name",
      { services: { e: { kind: "nginx", address: "localhost" } } },
      [
        'services.e.address: expected an IPv4 address, such as 127.0.0.1, got `"localhost"`. Fix: correct services.e.address [STACK_VALUE]',
      ],
    ],
    [
      "a route without slash",
      { services: { e: { kind: "nginx", routes: { api: "http://x" } } } },
      [
        "services.e.routes.api: expected a path that starts with `/`, got `api`. Fix: correct services.e.routes.api [STACK_VALUE]",
      ],
    ],
    [
      "health without a port",
      { services: { p: { kind: "process", command: ["x"], health: "/" } } },
      [
        "services.p.health: expected a `port` beside it, at which to ask, got none. Fix: set services.p.port [HEALTH_WITHOUT_PORT]",
      ],
    ],
    [
      "a module with a space",
      { services: { w: { kind: "dramatiq-worker", module: "app tasks" } } },
      [
        'services.w.module: expected a Python module, such as `app.tasks` or `app.tasks:broker`, got `"app tasks"`. Fix: correct services.w.module [STACK_VALUE]',
      ],
    ],
    [
      "a build directory that was not found",
      withKey({ build: "./empty" }),
      [
        "services.web.build: expected a directory with requirements.txt, pyproject.toml or package.json, got `./empty`: it has none of these files. Fix: correct the path; it is relative to the checkout [BUILD_SOURCE]",
      ],
    ],
    [
      "pages that are a Python application",
      { services: { s: { kind: "frontend", build: "./app" } } },
      [
        "services.s.build: expected a directory with package.json, whose `build` script writes dist, got `./app`, a Python application. Fix: name the directory of the pages, or choose kind `web` [BUILD_SOURCE]",
      ],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));
});

describe("ports", () => {
  it.each<Case>([
    [
      "two services on one",
      beside({ a: { ...web, port: 8000 } }),
      [
        "services.a.port: expected a port of its own, got 8000, which `ok` has too. Fix: set services.a.port to another number [PORT_CLASH]",
      ],
    ],
    [
      "two defaults",
      beside({ a: web }),
      [
        "services.a.port: expected a port of its own, got 8000 (its default), which `ok` has too. Fix: set services.a.port to another number [PORT_CLASH]",
      ],
    ],
    [
      "one on another's default with the offset",
      { settings: { portOffset: 100 }, ...beside({ a: { ...web, port: 8100 } }) },
      [
        "services.a.port: expected a port of its own, got 8100, which `ok` has too. Fix: set services.a.port to another number [PORT_CLASH]",
      ],
    ],
    [
      "three on one",
      beside({ a: web, b: web }),
      [
        "services.a.port: expected a port of its own, got 8000 (its default), which `ok` has too. Fix: set services.a.port to another number [PORT_CLASH]",
        "services.b.port: expected a port of its own, got 8000 (its default), which `ok` has too. Fix: set services.b.port to another number [PORT_CLASH]",
      ],
    ],
    [
      "beyond the last",
      { settings: { portOffset: 60_000 }, ...beside({}) },
      [
        "services.ok.port: expected a port of at most 65535, got 68000, its default plus settings.portOffset. Fix: set services.ok.port, or a smaller settings.portOffset [PORT_RANGE]",
      ],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));

  it("a disabled service has none", () => expect(problemsOf(beside({ a: { ...web, enabled: false } }))).toEqual([]));
  it("the offset is not added to an explicit port", () =>
    expect(
      planOf({ settings: { portOffset: 100 }, ...beside({ a: { ...web, port: 8000 } }) }).services.map(
        ({ ports }) => ports,
      ),
    ).toEqual([[{ host: "127.0.0.1", port: 8100 }], [{ host: "127.0.0.1", port: 8000 }]]));
});

describe("references", () => {
  const db = { kind: "postgres" };
  it.each<Case>([
    [
      "to no service",
      { services: { db, web: { ...web, env: { A: "${bd.url}" } } } },
      [
        "services.web.env.A: expected another service of this stack (db), got `bd`. Fix: correct the name [REFERENCE_UNKNOWN]",
      ],
    ],
    [
      "to a disabled one",
      { services: { db: { ...db, enabled: false }, web: { ...web, env: { A: "${db.url}" } } } },
      [
        "services.web.env.A: expected an enabled service, got `db`, which has `enabled: false`. Fix: set services.db.enabled to true, or write `${db.url?}` [REFERENCE_DISABLED]",
      ],
    ],
    [
      "a need that is not there",
      { services: { db, web: { ...web, needs: ["db", "broker"] } } },
      [
        "services.web.needs.1: expected another service of this stack (db), got `broker`. Fix: correct the name [REFERENCE_UNKNOWN]",
      ],
    ],
    [
      "a need that is disabled",
      { services: { db: { ...db, enabled: false }, web: { ...web, needs: ["db"] } } },
      [
        "services.web.needs.0: expected an enabled service, got `db`, which has `enabled: false`. Fix: set services.db.enabled to true, or write `db?` [REFERENCE_DISABLED]",
      ],
    ],
    [
      "a cycle",
      {
        services: {
          a: { ...web, needs: ["b"] },
          b: { ...web, port: 1, env: { A: "${c.url}" } },
          c: { ...web, port: 2, command: ["x", "${a.url}"] },
        },
      },
      [
        "services.a: expected an order in which each service starts after what it needs, got a cycle: a → b → c → a. Fix: take one of these references or `needs` away [STACK_CYCLE]",
      ],
    ],
    [
      "to itself by name",
      { services: { web: { ...web, needs: ["web"] } } },
      [
        "services.web: expected an order in which each service starts after what it needs, got a cycle: web → web. Fix: take one of these references or `needs` away [STACK_CYCLE]",
      ],
    ],
    [
      "a route to no service",
      { services: { e: { kind: "nginx", routes: { "/": "${site.url}" } } } },
      [
        "services.e.routes./: expected another service of this stack (there is none), got `site`. Fix: correct the name [REFERENCE_UNKNOWN]",
      ],
    ],
    [
      "a model that is not declared",
      { models: { gemma: { file: "a" } }, services: { c: { kind: "llama-server", model: "gema" } } },
      [
        "services.c.model: expected a model of engineroom:models (gemma), got `gema`. Fix: did you mean `gemma`? [MODEL_UNDECLARED]",
      ],
    ],
    [
      "a model where none is declared",
      { services: { c: { kind: "llama-server", model: "gemma" } } },
      [
        "services.c.model: expected a model of engineroom:models (none is declared), got `gemma`. Fix: declare it: engineroom:models: { gemma: { file: … } } [MODEL_UNDECLARED]",
      ],
    ],
    [
      "a worker without a broker",
      { services: { db, w: { kind: "dramatiq-worker", module: "app", needs: ["db"] } } },
      [
        'services.w.env: expected a variable that refers to the worker\'s redis service, got none. Fix: add env: { REDIS_URL: "${broker.url}" } with the name of your redis service [WORKER_WITHOUT_BROKER]',
      ],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));

  it.each<[string, RawStack["services"]]>([
    ["an optional need of a disabled service", { db: { ...db, enabled: false }, web: { ...web, needs: ["db?"] } }],
    [
      "an optional reference to a disabled service",
      { db: { ...db, enabled: false }, web: { ...web, env: { A: "${db.url?}" } } },
    ],
    ["an optional reference to an enabled one", { db, web: { ...web, env: { A: "${db.url?}" } } }],
    [
      "a route in both directions",
      { e: { kind: "nginx", routes: { "/": "${web.url}" } }, web: { ...web, env: { E: "${e.url}" } } },
    ],
  ])("%s is right", (_what, services) => expect(problemsOf({ services })).toEqual([]));

  it("order services, but those of routes do not", () => {
    const services = {
      edge: { kind: "nginx", routes: { "/": "${web.url}" } },
      web: { ...web, env: { A: "${db.url}" }, needs: ["job"] },
      job: { kind: "job", command: ["x"], env: { A: "${db.url}" } },
      db,
    };
    expect(planOf({ services }).services.map(({ name, needs }) => [name, needs])).toEqual([
      ["edge", []],
      ["db", []],
      ["job", ["db"]],
      ["web", ["db", "job"]],
    ]);
  });

  it("order nothing where a service says that it does not wait", () => {
    const env = { A: "${db.url}", B: "${other.url}" };
    const services = { a: { ...web, env, doesNotWaitFor: ["db", "off?"] }, db, other: { ...web, port: 9000 } };
    const { services: plans } = planOf({ services: { ...services, off: { ...db, enabled: false } } });
    const { needs, gates, env: resolved } = plans.find(({ name }) => name === "a")!;
    expect([needs, gates]).toEqual([["other"], [{ port: { host: "127.0.0.1", port: 9000 } }]]);
    expect(resolved["A"]).toEqual(["postgresql://app:", { secret: "db.password", as: "url" }, "@127.0.0.1:5432/app"]);
  });

  it("name what there is in doesNotWaitFor, too", () =>
    expect(problemsOf({ services: { a: { ...web, doesNotWaitFor: ["dba"] }, db } })).toMatchObject([
      { code: "REFERENCE_UNKNOWN", where: "services.a.doesNotWaitFor.0", fix: "did you mean `db`?" },
    ]));
});

describe("secrets", () => {
  it.each<Case>([
    [
      "a number",
      { secrets: { x: 4711 }, ...beside({}) },
      [
        `secrets.x: expected ${SECRET}, got a number (not shown). Fix: pulumi config set --secret --path engineroom:secrets.x [SECRET_SHAPE]`,
      ],
    ],
    [
      "a misspelt source",
      { secrets: { x: { evn: "hunter2" } }, ...beside({}) },
      [
        `secrets.x: expected ${SECRET}, got a map with \`evn\`. Fix: pulumi config set --secret --path engineroom:secrets.x [SECRET_SHAPE]`,
      ],
    ],
    [
      "two sources",
      { secrets: { x: { env: "A", file: "/hunter2" } }, ...beside({}) },
      ["secrets.x.file: expected one of env, required, got `file`. Fix: remove it [STACK_KEY]"],
    ],
    [
      "too few bytes",
      { secrets: { x: { generate: 8 } }, ...beside({}) },
      [
        "secrets.x.generate: expected at least 16, got a number (not shown). Fix: correct secrets.x.generate [STACK_VALUE]",
      ],
    ],
    [
      "a name that no reference can hold",
      { secrets: { "hf-token": { env: "A" } }, ...beside({}) },
      [
        'secrets.hf-token: expected a name of letters and digits, a letter first, got `"hf-token"`. Fix: rename it to `hftoken` [STACK_NAME]',
      ],
    ],
    [
      "a literal password",
      { services: { db: { kind: "postgres", password: "hunter2" } } },
      [
        "services.db.password: expected `${secret.NAME}`, which names a secret of engineroom:secrets, got a text (not shown). Fix: pulumi config set --secret --path engineroom:secrets.NAME, then write services.db.password: ${secret.NAME} [SECRET_MISPLACED]",
      ],
    ],
    [
      "a password of digits",
      { services: { db: { kind: "redis", password: 4711 } } },
      [
        "services.db.password: expected `${secret.NAME}`, which names a secret of engineroom:secrets, got a number (not shown). Fix: pulumi config set --secret --path engineroom:secrets.NAME, then write services.db.password: ${secret.NAME} [SECRET_MISPLACED]",
      ],
    ],
    [
      "a password that nobody brings",
      { services: { db: { kind: "postgres", password: "${secret.pg}" } } },
      [
        "services.db.password: expected a secret of engineroom:secrets (none is declared), got `pg`. Fix: pulumi config set --secret --path engineroom:secrets.pg [SECRET_UNKNOWN]",
      ],
    ],
    [
      "in a command",
      { services: { db: { kind: "postgres" }, web: { ...web, command: ["run", "--db", "${db.url}"] } } },
      [
        "services.web.command.2: expected no secret: everyone on this machine can read a program's arguments and settings, got a reference to a secret. Fix: put it under services.web.env, which goes to the program as a private file [SECRET_MISPLACED]",
      ],
    ],
    [
      "in a route",
      { services: { db: { kind: "postgres" }, e: { kind: "nginx", routes: { "/": "${db.url}" } } } },
      [
        "services.e.routes./: expected no secret: everyone on this machine can read a program's arguments and settings, got a reference to a secret. Fix: put it under services.e.env, which goes to the program as a private file [SECRET_MISPLACED]",
      ],
    ],
    [
      "of the user in a log file's name",
      { secrets: { x: { env: "X" } }, services: { web: { ...web, logFile: "/tmp/${secret.x}" } } },
      [
        "services.web.logFile: expected no secret: everyone on this machine can read a program's arguments and settings, got a reference to a secret. Fix: put it under services.web.env, which goes to the program as a private file [SECRET_MISPLACED]",
      ],
    ],
  ])("%s", (_what, raw, lines) => expect(linesOf(raw)).toEqual(lines));
});

describe("many problems", () => {
  it("are all reported at once, in the order of the file", () => {
    const raw = {
      settings: { portOfset: 1 },
      models: { gemma: { file: 3 } },
      secrets: { hfToken: 5 },
      services: {
        db: { kind: "postgres", port: 70_000, password: "hunter2" },
        off: { kind: "redis", enabled: false },
        chat: { kind: "llama-server", model: "gema" },
        a: { ...web, port: 9000, needs: ["b"] },
        b: { ...web, port: 9000, needs: ["a"], zebra: 1 },
        c: { ...web, needs: ["d"], env: { DB: "${db.url}", X: "${nobody.url}", Y: "${off.url}" } },
        d: { ...web, port: 9000, needs: ["c"], command: ["run", "${secret.hfToken}"] },
        e: { ...web, port: 9000 },
        worker: { kind: "dramatiq-worker", module: "app", env: { R: "${db.url}" } },
        Bad: { kind: "webb" },
      },
    };
    expect(problemsOf(raw).map(({ code, where }) => `${where} ${code}`)).toEqual([
      "settings.portOfset STACK_KEY",
      "models.gemma.file STACK_VALUE",
      "secrets.hfToken SECRET_SHAPE",
      "services.db.port STACK_VALUE",
      "services.db.password SECRET_MISPLACED",
      "services.chat.model MODEL_UNDECLARED",
      "services.b.zebra STACK_KEY",
      "services.c STACK_CYCLE",
      "services.c.env.X REFERENCE_UNKNOWN",
      "services.c.env.Y REFERENCE_DISABLED",
      "services.d.command.1 SECRET_MISPLACED",
      "services.d.port PORT_CLASH",
      "services.e.port PORT_CLASH",
      "services.Bad STACK_NAME",
      "services.Bad.kind STACK_KIND",
    ]);
  });

  it("judge what is made of the outputs of a service that has a problem of its own", () =>
    expect(
      problemsOf({
        services: {
          db: { kind: "postgres", port: 0 },
          api: { ...web, command: ["run", "${db.url}"], env: { A: "${db.prot}", B: "${db.port}" } },
        },
      }).map(({ code, where }) => `${where} ${code}`),
    ).toEqual([
      "services.db.port STACK_VALUE",
      "services.api.command.1 SECRET_MISPLACED",
      "services.api.env.A REFERENCE_UNKNOWN",
    ]));

  it("say nothing about references to what has a problem of its own", () =>
    expect(
      problemsOf({
        models: { gemma: { file: 3 } },
        secrets: { token: 5 },
        services: {
          broker: { kind: "redis", port: 0 },
          chat: { kind: "llama-server", model: "gemma" },
          worker: { kind: "dramatiq-worker", module: "app", env: { R: "${broker.url}", T: "${secret.token}" } },
          web: { ...web, needs: ["broker"] },
        },
      }).map(({ where }) => where),
    ).toEqual(["models.gemma.file", "secrets.token", "services.broker.port"]));
});

describe("the order of keys in the file", () => {
  it("changes no service's plan: Pulumi hands them over sorted", () => {
    const services = (env: object, routes: object) => ({
      db: { kind: "postgres" },
      broker: { kind: "redis" },
      web: { ...web, env },
      edge: { kind: "nginx", routes },
    });
    const one = { services: services({ B: "${broker.url}", A: "${db.url}" }, { "/b": "http://b", "/a": "http://a" }) };
    const two = { services: services({ A: "${db.url}", B: "${broker.url}" }, { "/a": "http://a", "/b": "http://b" }) };
    for (const name of ["web", "edge"]) {
      expect(JSON.stringify(serviceOf(one, name))).toBe(JSON.stringify(serviceOf(two, name)));
    }
  });
});

describe("a service that is not required", () => {
  const services = (required: boolean) => ({
    db: { kind: "postgres", required },
    web: { ...web, env: { A: "${db.url}" } },
  });
  const gatesOf = (required: boolean) => serviceOf({ services: services(required) }, "web").gates;
  it("is not waited for at a start: it may never come", () => {
    expect(gatesOf(true)).toEqual([{ port: { host: "127.0.0.1", port: 5432 } }]);
    expect(gatesOf(false)).toEqual([]);
  });
});
