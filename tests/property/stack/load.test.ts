import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { containerSpec } from "#runtime/container-spec.ts";
import { hostPlan, planText } from "#runtime/host-plan.ts";
import { loadStack, type RawStack } from "#stack/load.ts";
import { problemReport } from "#stack/problems.ts";
import { piecesOf, resolve } from "#stack/references.ts";
import { sectionsOf, withoutValues } from "#stack/sections.ts";
import { printable, secretsIn } from "#stack/text.ts";
import { parseDuration, parseSize } from "#stack/units.ts";
import { context, problemsOf, tools } from "#tests/support/stack.ts";

const WORKERS = ["celery-worker", "celery-beat", "dramatiq-worker", "rq-worker", "worker"];
const KINDS = ["postgres", "redis", "llama-server", "nginx", "web", "frontend", ...WORKERS, "job", "process"];

/** Words that mean something somewhere, so that random values reach further in. */
const word = fc.constantFrom(
  ...KINDS,
  ...["kind", "port", "env", "needs", "password", "command", "routes", "model", "secure", "generate", "file", "in"],
  ...["${self.url}", "${secret.x}", "${a.url?}", "${", "90s", "2GiB", "__proto__", "constructor", "toString", "a", "b"],
);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    word,
    fc.anything({ maxDepth: 2 }),
    fc.integer({ min: -1, max: 70_000 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(word, fc.string({ maxLength: 4 })), tie("value"), { maxKeys: 6 }),
  ),
}));

describe("any value", () => {
  it("as the whole stack is a plan or a report, never a throw", () =>
    fc.assert(
      fc.property(
        fc.record(
          { settings: json.value, models: json.value, secrets: json.value, services: json.value },
          { requiredKeys: [] },
        ),
        (raw) => {
          const loaded = loadStack(raw, context);
          if ("problems" in loaded) expect(loaded.problems.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    ));

  it("as a service of any kind is a plan or a report, never a throw", () =>
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), fc.dictionary(word, json.value), (kind, rest) => {
        const loaded = loadStack({ services: { a: { ...rest, kind }, b: rest } }, context);
        if ("problems" in loaded) expect(problemReport("x", loaded.problems)).toContain("expected");
      }),
      { numRuns: 1000 },
    ));
});

describe("any text", () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom("$", "{", "}", ".", "?", "a", "secret", "self", " ")).map((parts) => parts.join("")),
  );
  const scope = {
    self: "a",
    outputs: new Map([["a", { url: ["u"] }]]),
    disabled: new Set<string>(),
    broken: new Set<string>(),
    secrets: new Set(["s"]),
  };

  it("is cut into pieces that hold all of it", () =>
    fc.assert(
      fc.property(text, (value) => {
        const pieces = piecesOf(value).map((piece) => {
          if (typeof piece === "string") return piece;
          return "malformed" in piece ? piece.malformed : `\${${piece.owner}.${piece.key}${piece.optional ? "?" : ""}}`;
        });
        // An escape loses its second dollar, and nothing else is lost.
        expect(pieces.join("").replaceAll("$", "")).toBe(value.replaceAll("$", ""));
      }),
    ));

  it("resolves without a throw", () =>
    fc.assert(
      fc.property(text, (value) => {
        expect(Array.isArray(resolve(value, scope).text)).toBe(true);
      }),
    ));

  it("without `${` stays as it is", () =>
    fc.assert(
      fc.property(text, (value) => {
        fc.pre(!value.includes("${") && value !== "");
        expect(resolve(value, scope)).toEqual({ text: [value], uses: [], problems: [] });
      }),
    ));

  it("escaped means itself", () =>
    fc.assert(
      fc.property(text, (value) => {
        const escaped = value.replaceAll("${", () => "$${");
        fc.pre(!value.includes("$$"));
        expect(printable(resolve(escaped, scope).text)).toBe(value);
      }),
    ));
});

describe("times and sizes", () => {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const sizes = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
  it("a printed time is read back", () =>
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])),
        (count, unit) => {
          expect(parseDuration(`${count}${unit}`)).toBe(count * units[unit]);
        },
      ),
    ));
  it("a printed size is read back", () =>
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.constantFrom(...(Object.keys(sizes) as (keyof typeof sizes)[])),
        (count, unit) => {
          expect(parseSize(`${count}${unit}`)).toBe(count * sizes[unit]);
        },
      ),
    ));
  it("any text is a whole number from 0, or nothing", () =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,9}(\.\d+)? ?[A-Za-z]{1,11}$/)), (text) => {
        for (const value of [parseDuration(text), parseSize(text)]) {
          if (value !== undefined) expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
        }
      }),
    ));
});

/** A secret that occurs in nothing else. */
const CANARY = `hunter2-%s'"$ é`;

describe("no report shows a secret", () => {
  const bad = fc.constantFrom<unknown>(CANARY, [CANARY], { a: CANARY }, { env: [CANARY] }, { file: { a: CANARY } });
  const places = fc.constantFrom<(value: unknown) => RawStack>(
    (value) => ({ secrets: value, services: {} }),
    (value) => ({ secrets: { token: value, more: 5 }, services: {} }),
    (value) => ({ services: { db: { kind: "postgres", password: value, prot: 1 } } }),
    (value) => ({ services: { db: { kind: "redis", password: value } } }),
    (value) => ({ services: { api: { kind: "web", command: 5, env: value } } }),
    (value) => ({ services: { api: { kind: "web", command: 5, env: { TOKEN: value } } } }),
    (value) => ({ services: { api: value } }),
  );
  it("that stands in a place for secrets, in any shape", () =>
    fc.assert(
      fc.property(bad, places, (value, place) => {
        const raw = place(value);
        const values = Object.fromEntries(Object.entries(raw).map(([name, item]) => [`engineroom:${name}`, item]));
        const report = problemReport("x", [
          ...sectionsOf({ values, secretKeys: new Set() }).problems,
          ...problemsOf(raw),
        ]);
        expect(report).not.toContain("hunter2");
      }),
    ));

  it("that Pulumi has decrypted anywhere in a section", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(
          "kind",
          "port",
          "model",
          "command",
          "needs",
          "env",
          "restart",
          "memory",
          "build",
          "health",
          "zebra",
        ),
        fc.constantFrom<(text: string) => unknown>(
          (text) => text,
          (text) => [text],
          (text) => [`\${${text}.url}`, `\${secret.${text}}`, `\${a.${text}}`],
          (text) => ({ A: `\${${text}.url}` }),
        ),
        (key, shape) => {
          const services = { a: { kind: "web", command: ["x"], [key]: shape("hunter2") } };
          const config = { values: { "engineroom:services": services }, secretKeys: new Set(["engineroom:services"]) };
          const problems = [
            ...sectionsOf(config).problems,
            ...problemsOf({ services }).map((problem) => withoutValues(problem, config)),
          ];
          expect(problemReport("x", problems)).not.toContain("hunter2");
        },
      ),
    ));
});

const APPLICATIONS = ["web", "job", "process", ...WORKERS];

/** Valid stacks: each service refers only to those before it. */
const validStack = fc
  .array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      port: fc.option(fc.integer({ min: 1024, max: 40_000 }), { nil: undefined }),
      uses: fc.array(fc.nat(), { maxLength: 4 }),
      withSecret: fc.boolean(),
      enabled: fc.boolean(),
      place: fc.constantFrom("host", "container"),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((drafts): RawStack => {
    const services: Record<string, Record<string, unknown>> = {
      broker: { kind: "redis", port: 50_000, ...(drafts[0] && { in: drafts[0].place }) },
    };
    const names: string[] = [];
    drafts.forEach(({ kind, port, uses, withSecret, enabled, place }, index) => {
      const name = `s${index}`;
      const listens = ![...WORKERS, "job"].includes(kind);
      const targets = uses.flatMap((use) => names[use % Math.max(1, names.length)] ?? []);
      services[name] = {
        kind,
        enabled,
        in: place,
        ...(place === "container" && APPLICATIONS.includes(kind) && { image: "x" }),
        // Ports of their own, mostly: a clash is refused, and then there is no plan to look at.
        ...(listens && { port: port ?? 51_000 + index }),
        needs: targets.map((target) => `${target}?`),
        env: {
          RQ_REDIS_URL: "${broker.url}",
          ...Object.fromEntries(targets.map((target, at) => [`URL_${at}`, `\${${target}.url?}`])),
          ...(withSecret && { TOKEN: "${secret.token}" }),
        },
        ...(kind === "llama-server" && { model: "m" }),
        ...(kind === "frontend" && { build: "./pages" }),
        ...(kind === "dramatiq-worker" && { module: "app" }),
        // One beat for each application.
        ...(kind.startsWith("celery-") && { app: `app${index}` }),
        ...(kind === "worker" && { ready: { command: ["poll"] } }),
        ...(["web", "job", "process", "worker"].includes(kind) && { command: ["run"] }),
        ...((kind === "postgres" || kind === "redis") && withSecret && { password: "${secret.token}" }),
      };
      // What has no `url` can only be needed.
      if (listens) names.push(name);
    });
    return { models: { m: { file: "m.gguf" } }, secrets: { token: CANARY }, services };
  });

describe("the plan of any valid stack", () => {
  const holds = (check: (plan: Extract<ReturnType<typeof loadStack>, { plan: unknown }>["plan"]) => void) =>
    fc.assert(
      fc.property(validStack, (raw) => {
        const loaded = loadStack(raw, context);
        if ("problems" in loaded) {
          expect(loaded.problems.map(({ code }) => code).filter((code) => code !== "PORT_CLASH")).toEqual([]);
          return;
        }
        check(loaded.plan);
      }),
      { numRuns: 200 },
    );
  const hosts = { host: context.host, places: context.places, tools };

  it("gives each service ports of its own", () =>
    holds(({ services }) => {
      // The relay has those of the services that it brings containers to, at another address.
      const ports = services
        .filter(({ name }) => name !== "relay")
        .flatMap((service) => service.ports.map(({ port }) => port));
      expect(new Set(ports).size).toBe(ports.length);
    }));

  it("puts each service after what it needs, and needs nothing that is disabled", () =>
    holds(({ services, disabled }) => {
      const before = new Set<string>();
      for (const { name, needs } of services) {
        expect(needs.filter((need) => !before.has(need))).toEqual([]);
        before.add(name);
      }
      expect(disabled.filter((name) => before.has(name))).toEqual([]);
    }));

  it("has a source for every secret that it wants", () =>
    holds(({ services, secrets }) => {
      const sources = new Set([
        ...Object.keys(secrets).map((name) => `secret.${name}`),
        ...services.flatMap(({ generates }) => generates),
      ]);
      const wanted = services.flatMap((service) =>
        [...Object.values(service.env), ...service.files.map(({ content }) => content)].flatMap(secretsIn),
      );
      expect(wanted.filter((name) => !sources.has(name))).toEqual([]);
    }));

  it("is JSON for the maker, without the value of a secret", () =>
    holds((plan) => {
      for (const service of plan.services) {
        const spec = containerSpec(service, plan);
        expect(spec !== undefined).toBe(service.in === "container");
        const text = spec ? JSON.stringify(spec) : planText(hostPlan(service, plan.services, hosts));
        expect(JSON.parse(text)).toMatchObject({ service: service.name });
        expect(text).not.toContain("hunter2");
      }
    }));

  it("has no secret in the settings of a container, not even the name of one", () =>
    holds((plan) => {
      for (const service of plan.services) {
        const spec = containerSpec(service, plan);
        if (spec) expect(JSON.stringify({ ...spec, files: undefined })).not.toMatch(/"secret"|\(secret /);
      }
    }));

  it("shows nobody an address that leads elsewhere from where it runs", () =>
    holds(({ services }) => {
      for (const { in: place, env } of services) {
        const values = Object.values(env).map(printable).join(" ");
        expect(values).not.toContain(place === "container" ? "127.0.0.1" : "host.docker.internal");
      }
    }));

  it("has a relay where a container uses the host, a port for each that it uses, and no container without it", () =>
    holds(({ services, network }) => {
      const [relay] = services.filter(({ name }) => name === "relay");
      const users = services.filter(({ container }) => container?.usesHost);
      expect(users.length > 0).toBe(relay !== undefined);
      expect(users.filter(({ needs }) => !needs.includes("relay"))).toEqual([]);
      const asked = users.flatMap(({ env, files }) =>
        [...Object.values(env), ...files.map(({ content }) => content)].flatMap((text) =>
          [...printable(text).matchAll(/host\.docker\.internal:(\d+)/g)].map(([, port]) => Number(port)),
        ),
      );
      expect(new Set(relay?.ports.map(({ port }) => port) ?? [])).toEqual(new Set(asked));
      for (const { host } of relay?.ports ?? []) expect(host).toBe(network?.gateway);
    }));
});
