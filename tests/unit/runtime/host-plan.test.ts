import { describe, expect, it } from "vitest";
import { hostPlan, planHash, planText, secretNames, supervisorPlan } from "#runtime/host-plan.ts";
import { hostPlaces, projectPlaces, stackPlaces } from "#stack/places.ts";
import type { RawStack } from "#stack/load.ts";
import { context, planOf, tools } from "#tests/support/stack.ts";

const hosts = { host: context.host, places: context.places, tools };
const web = { kind: "web", command: ["run"] };

function hostPlanOf(settings: object, others: object = {}, where = hosts) {
  const raw: RawStack = { secrets: { token: { env: "T" } }, services: { ...others, web: { ...web, ...settings } } };
  const { services } = planOf(raw, { ...context, ...where });
  const plan = services.find(({ name }) => name === "web");
  if (!plan) throw new Error("no plan");
  return hostPlan(plan, services, where);
}

const linesOf = (settings: object): readonly string[] => hostPlanOf(settings).program?.split("\n") ?? [];

/** Everything that means something to somebody on the way. */
const NASTY = `/tmp/s p%s"q$x'\\y`;
const nastyHost = hostPlaces({ HOME: "/h", ENGINEROOM_STATE_HOME: NASTY, ENGINEROOM_RUNTIME_HOME: NASTY }, 1000);
const nasty = {
  host: nastyHost,
  places: stackPlaces(nastyHost, projectPlaces(nastyHost, "/x", "lab"), "test"),
  tools,
};

describe("a program's section", () => {
  it("of an ordinary service", () =>
    expect(hostPlanOf({}).program).toBe(`[program:web]
command="/opt/python/bin/python3" "-S" "-E" "-s" "/home/me/.local/state/engineroom/lab/stacks/test/launch.py" "/home/me/.local/state/engineroom/lab/stacks/test/services/web"
directory=/
umask=077
autorestart=unexpected
exitcodes=78
startsecs=0
startretries=0
stopsignal=TERM
stopwaitsecs=10
stopasgroup=true
killasgroup=true
stdout_logfile=/home/me/.local/state/engineroom/lab/stacks/test/logs/web.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
redirect_stderr=true
`));

  it.each<[string, object, readonly string[]]>([
    ["restarts always, but for having given up", { restart: "always" }, ["autorestart=unexpected", "exitcodes=78"]],
    ["restarts after a failure", { restart: "on-failure" }, ["autorestart=unexpected", "exitcodes=0,78"]],
    ["restarts never", { restart: "no" }, ["autorestart=false"]],
    ["stops as it should", { stopSignal: "QUIT", stopGrace: "1500ms" }, ["stopsignal=QUIT", "stopwaitsecs=2"]],
    ["is stopped with its group", {}, ["stopasgroup=true", "killasgroup=true"]],
    ["logs where it should", { logFile: "x.log" }, ["stdout_logfile=/home/me/lab/x.log", "redirect_stderr=true"]],
    ["keeps its errors apart", { errorLog: "/tmp/x.err" }, ["stderr_logfile=/tmp/x.err", "stderr_logfile_backups=3"]],
    ["doubles a percent sign twice in a log file", { logFile: "/tmp/50%.log" }, ["stdout_logfile=/tmp/50%%%%.log"]],
  ])("%s", (_what, settings, lines) => expect(linesOf(settings)).toEqual(expect.arrayContaining([...lines])));

  it("asks a worker's first process alone to stop, and kills all", () => {
    const worker = { kind: "worker", ready: { command: ["true"] } };
    expect(linesOf(worker)).toEqual(expect.arrayContaining(["stopasgroup=false", "killasgroup=true"]));
  });

  it("holds no user text but paths", () => {
    const text = hostPlanOf({ command: ["%s", "%d"], env: { A: "%(x)s" }, cwd: "/%s" }).program;
    expect(text).toBe(hostPlanOf({}).program);
  });

  // Read back by supervisord 4.3's own parser when this was written; it expands log files twice, and $ never.
  it("quotes a path that has everything in it", () =>
    expect(
      hostPlanOf({}, {}, nasty)
        .program?.split("\n")
        .filter((line) => line.includes("/tmp/s p")),
    ).toEqual([
      `command="/opt/python/bin/python3" "-S" "-E" "-s" ` +
        `"/tmp/s p%%s\\"q$x'\\\\y/lab/stacks/test/launch.py" "/tmp/s p%%s\\"q$x'\\\\y/lab/stacks/test/services/web"`,
      `stdout_logfile=/tmp/s p%%%%s"q$x'\\y/lab/stacks/test/logs/web.log`,
    ]));
});

it("supervisord's settings name their includes without a directory, which would be divided at its spaces", () =>
  expect(supervisorPlan(nasty, "launcher").config).toBe(`[supervisord]
identifier=lab/test
logfile=/tmp/s p%%s"q$x'\\y/lab/stacks/test/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=/tmp/s p%%s"q$x'\\y/lab/test/supervisord.pid
childlogdir=/tmp/s p%%s"q$x'\\y/lab/stacks/test/logs
umask=077
[unix_http_server]
file=/tmp/s p%%s"q$x'\\y/lab/test/supervisor.sock
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files=programs/*.conf
`));

describe("what a service sees", () => {
  it("is its own variables and these, nothing of the shell that ran up", () => {
    process.env["LEAKED_BY_THE_SHELL"] = "1";
    expect(hostPlanOf({ env: { MINE: "1" } }).launch.env).toEqual({
      PATH: ["/usr/local/bin:/usr/bin:/bin"],
      HOME: ["/home/me/.local/state/engineroom/lab/stacks/test/services/web"],
      LANG: ["C.UTF-8"],
      PYTHONUNBUFFERED: ["1"],
      ENGINEROOM_STACK: ["test"],
      ENGINEROOM_SERVICE: ["web"],
      MINE: ["1"],
    });
  });
  it("has the environment of its application first on the path", () =>
    expect(hostPlanOf({ build: "./app" }).launch.env["PATH"]).toEqual([
      "/home/me/.cache/engineroom/builds/app-aaaaaaaaaaaa/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    ]));
  it("is what its settings say, where they say so", () =>
    expect(hostPlanOf({ env: { PATH: "/mine", HOME: "/me" } }).launch.env).toMatchObject({
      PATH: ["/mine"],
      HOME: ["/me"],
    }));
});

describe("a plan's text", () => {
  it("keeps any value byte for byte", () => {
    const value = `%s "quoted" 'single' $HOME \\ é\ttab\nline \${x}`;
    const plan = hostPlanOf({
      env: { VALUE: value.replace("${", () => "$${") },
      command: [value.replace("${", () => "$${")],
    });
    const back = JSON.parse(planText(plan)) as typeof plan;
    expect(back).toEqual(plan);
    expect(back.launch.argv).toEqual([value]);
  });
  it("names its secrets, each once", () => {
    const plan = hostPlanOf(
      { env: { A: "${secret.token}", B: "${secret.token}", C: "${db.url}" } },
      { db: { kind: "postgres" } },
    );
    expect([...secretNames(plan)].sort()).toEqual(["db.password", "secret.token"]);
  });
  it("has another hash when anything changes", () =>
    expect(planHash(hostPlanOf({ env: { A: "1" } }))).not.toBe(planHash(hostPlanOf({ env: { A: "2" } }))));
});

describe("the account", () => {
  it("is the user's own, where a user runs engineroom", () => expect(hostPlanOf({})).not.toHaveProperty("account"));
  it("is engineroom, where root does", () => {
    const host = hostPlaces({ HOME: "/root" }, 0);
    const places = stackPlaces(host, projectPlaces(host, "/x", "lab"), "test");
    expect(hostPlanOf({}, {}, { host, places, tools })).toMatchObject({
      account: "engineroom",
      stackDir: "/var/lib/engineroom/lab/stacks/test",
      runDir: "/run/engineroom/lab/test",
    });
  });
});

it("a job knows the data that it works on, by service, whatever the order of the file", () => {
  const job = { kind: "job", command: ["x"], env: { A: "${b.url}", B: "${a.url}" } };
  const services = { b: { kind: "postgres" }, a: { kind: "postgres", port: 5433 }, web: job };
  const swapped = { a: services.a, b: services.b, web: job };
  const [one, two] = [services, swapped].map((each) => {
    const plans = planOf({ services: each }).services;
    return hostPlan(
      plans.find(({ name }) => name === "web")!,
      plans,
      hosts,
    );
  });
  expect(one?.job).toEqual({
    required: true,
    timeoutMs: 600_000,
    logFile: "/home/me/.local/state/engineroom/lab/stacks/test/logs/web.log",
    doneFile: "/home/me/.local/state/engineroom/lab/stacks/test/services/web/done.json",
    data: {
      a: "/home/me/.local/state/engineroom/lab/stacks/test/data/a/pgdata/engineroom-id",
      b: "/home/me/.local/state/engineroom/lab/stacks/test/data/b/pgdata/engineroom-id",
    },
  });
  expect(planText(one!)).toBe(planText(two!));
});
