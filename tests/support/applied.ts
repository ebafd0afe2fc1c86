import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { insideContainer } from "#checks/inside-container.ts";
import { runCheck } from "#checks/run.ts";
import type { Outcome } from "#checks/check.ts";
import { processTree } from "#checks/process-tree.ts";
import { openStack, type Opened } from "#observe/world.ts";
import { programStates } from "#observe/supervisord.ts";
import { secretsOfFiles, type ContainerSpec, type FilesPlan } from "#runtime/container-spec.ts";
import { planText, secretNames, supervisorPlan, type HostPlan } from "#runtime/host-plan.ts";
import { askEngine, askEngineText } from "#setup/docker-api.ts";
import { host, makeVolume, removeContainer, testLabels } from "./containers.ts";
import type { Sections } from "./test-stack.ts";

/*
 * Services as the makers make them, without Pulumi: a stack file's sections are planned, and runtime/apply.py and the
 * engine carry the plans out. `await using` takes all of it away.
 */

const projectDir = join(import.meta.dirname, "..", "..");
const PREFIX = "er-applied-";
const SUPERVISOR = "supervisor-plan.json";

/** How one run of runtime/apply.py ended. */
export interface Applied {
  readonly exitCode: number | undefined;
  readonly stderr: string;
}

export interface AppliedStack extends AsyncDisposable {
  readonly opened: Opened;
  /** The stack file is another one from now on. */
  readonly change: (sections: Sections) => void;
  /** Starts a service, or applies what changed. */
  readonly apply: (service: string) => Promise<Applied>;
  /** Waits for its check. */
  readonly outcome: (service: string) => Promise<Outcome>;
  /** PID of a host service (0: none), id of a container. */
  readonly identity: (service: string) => Promise<string>;
  readonly stop: (service: string) => Promise<void>;
  readonly secret: (name: string) => string;
  readonly log: (service: string) => Promise<string>;
}

/** A stack in directories of its own. */
export async function appliedStack(sections: Sections): Promise<AppliedStack> {
  await endAbandoned();
  const dir = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  chmodSync(dir, 0o755);
  const env = { ...process.env, ENGINEROOM_STATE_HOME: join(dir, "s"), ENGINEROOM_RUNTIME_HOME: join(dir, "r") };
  const open = (wanted: Sections): Opened => {
    const values = Object.fromEntries(Object.entries(wanted).map(([key, value]) => [`engineroom:${key}`, value]));
    const opened = openStack({ config: { values, secretKeys: new Set() }, stack: "applied", projectDir, env });
    if ("problems" in opened) throw new Error(JSON.stringify(opened.problems, null, 2));
    return opened;
  };
  let opened = open(sections);
  const secrets = new Map<string, string>();
  const secret = (name: string): string => {
    const value = secrets.get(name) ?? `${CANARY}${randomBytes(9).toString("hex")}`;
    secrets.set(name, value);
    return value;
  };
  const stdinOf = (names: readonly string[]) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, secret(name)])));
  const run = async (what: string, verb: string, plan: string, input = "{}"): Promise<Applied> => {
    const { context } = opened;
    const { exitCode, stderr } = await execa(
      context.tools.python?.path ?? "python3",
      ["-S", "-E", "-s", "-B", "runtime/apply.py", what, verb],
      {
        cwd: projectDir,
        env: { PLAN: plan },
        input,
        reject: false,
        timeout: 120_000,
      },
    );
    return { exitCode, stderr };
  };
  const hostPlan = (service: string): HostPlan => found(opened.hostPlans.get(service), service);
  const spec = (service: string): ContainerSpec => found(opened.containerSpecs.get(service), service);
  const containers = new Map<string, string>();
  const files = (service: string): FilesPlan => found(spec(service).files, service);
  const isContained = (service: string): boolean => opened.containerSpecs.has(service);
  const launcher = readFileSync(join(projectDir, "runtime", "launch.py"), "utf8");
  if (opened.hostPlans.size > 0) {
    const plan = planText(supervisorPlan(opened.context, launcher));
    writeFileSync(join(dir, SUPERVISOR), plan);
    const started = await run("supervisor", "start", plan);
    if (started.exitCode !== 0) throw new Error(started.stderr);
  }
  const pidOf = async (service: string): Promise<number> => {
    const states = await programStates(opened.plan.places.supervisorSocket);
    return states.find(({ name }) => name === service)?.pid ?? 0;
  };
  return {
    get opened() {
      return opened;
    },
    secret,
    change: (wanted) => {
      opened = open(wanted);
    },
    apply: async (service) => {
      if (!isContained(service)) {
        const plan = hostPlan(service);
        return run(plan.job ? "job" : "service", "start", planText(plan), stdinOf(secretNames(plan)));
      }
      const applied = spec(service).files
        ? await run("files", "start", JSON.stringify(files(service)), stdinOf(secretsOfFiles(files(service))))
        : { exitCode: 0, stderr: "" };
      if (applied.exitCode !== 0 || containers.has(service)) return applied;
      containers.set(service, await startContainer(spec(service), opened));
      return applied;
    },
    outcome: async (service) => {
      const check = found(opened.plan.services.find(({ name }) => name === service)?.check, service);
      const { outcome } = await runCheck(
        check,
        { timeoutMs: 60_000, attemptMs: 10_000 },
        {
          processTree: async () => processTree(await pidOf(service)),
          ...(isContained(service) && { inside: insideContainer(host, found(containers.get(service), service)) }),
        },
      );
      return outcome;
    },
    identity: async (service) => {
      if (isContained(service)) return found(containers.get(service), service);
      return String(await pidOf(service));
    },
    stop: async (service) => {
      const id = containers.get(service);
      containers.delete(service);
      if (id === undefined) {
        await run("service", "stop", planText(hostPlan(service)));
        return;
      }
      const t = String(spec(service).stopGraceSeconds);
      await askEngine(host, { method: "POST", path: `/containers/${id}/stop`, query: { t } });
      await removeContainer(id);
    },
    log: async (service) => {
      const id = containers.get(service);
      if (id === undefined) return readFileSync(join(opened.plan.places.logsDir, `${service}.log`), "utf8");
      return askEngineText(host, { path: `/containers/${id}/logs`, query: { stdout: "1", stderr: "1" } });
    },
    [Symbol.asyncDispose]: async () => {
      for (const id of containers.values()) await removeContainer(id);
      for (const { volumes } of opened.containerSpecs.values()) {
        for (const { name } of volumes)
          await askEngine(host, { method: "DELETE", path: `/volumes/${name}`, query: { force: "1" } });
      }
      await end(dir, run);
    },
  };
}

/** Text that breaks whatever forgets to quote. */
const CANARY = `p%s'"$ w\\`;

function found<Value>(value: Value | undefined, service: string): Value {
  if (value === undefined) throw new Error(`no plan of ${service}`);
  return value;
}

async function end(dir: string, run: (what: string, verb: string, plan: string) => Promise<unknown>): Promise<void> {
  const plan = join(dir, SUPERVISOR);
  if (existsSync(plan)) await run("supervisor", "stop", readFileSync(plan, "utf8"));
  rmSync(dir, { recursive: true, force: true });
}

/** What a killed test run has left. */
async function endAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const pid = name.slice(PREFIX.length).split("-")[0] ?? "";
    if (existsSync(`/proc/${pid}`)) continue;
    await end(join(tmpdir(), name), (what, verb, plan) =>
      execa("python3", ["-S", "-E", "-s", "-B", "runtime/apply.py", what, verb], {
        cwd: projectDir,
        env: { PLAN: plan },
        reject: false,
      }),
    );
  }
}

/** The engine's own words for what runtime/container.ts tells the provider, on the engine's own network. */
async function startContainer(spec: ContainerSpec, { plan }: Opened): Promise<string> {
  for (const { name } of spec.volumes) await makeVolume(name);
  const bindings = spec.ports.map(
    ({ ip, external, internal }) => [`${internal}/tcp`, [{ HostIp: ip, HostPort: String(external) }]] as const,
  );
  const mounts = Object.entries(spec.binds).map(([target, source]) => `${source}:${target}:ro`);
  const { Id: id } = await askEngine<{ readonly Id: string }>(host, {
    method: "POST",
    path: "/containers/create",
    json: {
      Image: spec.image,
      ...(spec.entrypoint.length > 0 && { Entrypoint: spec.entrypoint }),
      Cmd: spec.command,
      Env: spec.environment,
      ...(spec.user && { User: spec.user }),
      Labels: { ...testLabels, ...spec.labels },
      StopSignal: spec.stopSignal,
      ExposedPorts: Object.fromEntries(bindings.map(([port]) => [port, {}])),
      HostConfig: {
        PortBindings: Object.fromEntries(bindings),
        ReadonlyRootfs: spec.readOnly,
        CapDrop: ["ALL"],
        CapAdd: spec.capabilities,
        SecurityOpt: ["no-new-privileges"],
        Memory: spec.memoryMiB * 2 ** 20,
        Init: true,
        ...(spec.readOnly && { Tmpfs: { "/tmp": "mode=1777" } }),
        Binds: [...mounts, ...spec.volumes.map(({ name, target }) => `${name}:${target}`)],
      },
    },
  });
  await askEngine(host, { method: "POST", path: `/containers/${id}/start` });
  // As Ready notes it.
  const home = join(plan.places.containersDir, spec.service);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "container.json"), JSON.stringify({ id }));
  return id;
}
