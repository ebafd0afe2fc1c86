import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { freeBytes } from "#checks/disk.ts";
import { inspectModelFile } from "#checks/model-file.ts";
import { externalFix } from "#checks/explain.ts";
import { listenersOn } from "#checks/ports.ts";
import { leftOut, preflight } from "#checks/preflight.ts";
import type { World } from "#observe/world.ts";
import { engineWords, findEngine, judgeEngine, lookHere, type Engine } from "#setup/docker.ts";
import { readImages } from "#setup/image-references.ts";
import { bringsPassphrase } from "#setup/passphrase.ts";
import { commandVersion } from "#setup/toolchain/versions.ts";
import { isComplete } from "#setup/toolchain/layout.ts";
import { serviceAccount } from "#setup/system-user.ts";
import type { ToolName } from "#setup/tools.ts";
import { stackFileName, stackNames } from "#stack/file.ts";
import { shortId } from "#stack/drift.ts";
import { SERVICE_USER } from "#stack/places.ts";
import type { StackPlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { domains, unknownDomain } from "./domains.ts";
import { leftovers } from "./leftovers.ts";
import { pendingOperations, stackLocks, type StackLock } from "./locks.ts";
import { saltFits } from "./salt.ts";

/** One thing that was looked at: as it should be, or a problem. */
export type Finding =
  { readonly ok: true; readonly where: string; readonly got: string } | ({ readonly ok: false } & Problem);

type Environment = Readonly<Record<string, string | undefined>>;

const fine = (where: string, got: string): Finding => ({ ok: true, where, got });
const wrong = (problem: Problem): Finding => ({ ok: false, ...problem });

/** Looks at everything that could be in the way of the stack. Changes nothing. */
export async function examine(world: World, env: Environment): Promise<readonly Finding[]> {
  const [free, held, sound, cards, key, left, containers, names, ahead, lost] = await Promise.all([
    places(world),
    ports(world),
    models(world),
    gpus(world),
    passphrase(world, env),
    leftovers(world, stackNames(world.plan.places.projectDir)),
    engineFindings(world, env),
    domains(world.plan.services),
    preflight(world),
    leftOut(world),
  ]);
  return problemsLast([
    fine("stack file", `${stackFileName(world.plan.places.stack)}, ${countOf(world)}`),
    fine("owner", world.plan.places.owner),
    ...tools(world),
    toolchain(world),
    ...account(world),
    ...free,
    ...supervisor(world),
    ...held,
    ...sound,
    ...cards,
    ...secrets(world),
    ...externals(world),
    ...key,
    ...engine(world, env),
    ...containers,
    ...names.map(({ domain, address }) =>
      address === undefined ? wrong(unknownDomain(domain)) : fine(`domain ${domain}`, `resolves to ${address}`),
    ),
    ...[...left, ...ahead, ...lost.values()].map(wrong),
  ]);
}

const countOf = ({ plan: { services, disabled } }: World): string =>
  `${services.length} services${disabled.length === 0 ? "" : `, ${disabled.length} disabled`}`;

/** Where the eye rests. */
const problemsLast = (findings: readonly Finding[]): readonly Finding[] => [
  ...findings.filter((finding) => finding.ok),
  ...findings.filter((finding) => !finding.ok),
];

/** Those that are missing are preflight's to report, except for Pulumi, without which there is no preflight. */
function tools({ plan, context }: World): readonly Finding[] {
  const used = new Set<ToolName>([
    "node",
    "python",
    ...(plan.services.some((service) => service.in === "host") ? ["supervisord" as const] : []),
    ...plan.services.flatMap((service) => service.tools),
  ]);
  return [...used].flatMap((name) => {
    const tool = context.tools[name];
    return tool && existsSync(tool.path) ? [fine(name, `${tool.version}, ${tool.source} (${tool.path})`)] : [];
  });
}

function toolchain({ context }: World): Finding {
  const tool = context.tools.pulumi;
  const home = tool?.env?.["PULUMI_HOME"];
  if (tool && home !== undefined && isComplete(dirname(tool.path), home)) {
    return fine("pulumi", `${tool.version}, ${tool.source} (${tool.path}), command plugin ${commandVersion} (${home})`);
  }
  return wrong({
    code: "TOOL_MISSING",
    where: "pulumi",
    expected: "the CLI, its Node language host and the command plugin",
    got: tool ? `not all of them beside ${tool.path}` : "nothing: set-up has not run",
    fix: "./engineroom setup",
  });
}

function account({ context }: World): readonly Finding[] {
  if (!context.host.asRoot) return [];
  const found = serviceAccount();
  if (found) return [fine("service user", `${SERVICE_USER} (uid ${found.uid})`)];
  return [
    wrong({
      code: "TOOL_MISSING",
      where: "service user",
      expected: `a system user ${SERVICE_USER}, because services do not run as root`,
      got: "none",
      fix: "./engineroom setup",
    }),
  ];
}

async function places({ plan, context }: World): Promise<readonly Finding[]> {
  const all = [
    ["state", plan.places.stateDir],
    ["cache", context.host.cacheDir],
    ["runtime", plan.places.runDir],
  ] as const;
  return await Promise.all(
    all.map(async ([name, path]) => fine(`${name} directory`, `${path}, ${gibibytes(await freeBytes(path))} free`)),
  );
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function supervisor({ plan, seen }: World): readonly Finding[] {
  const where = "supervisord";
  if (!plan.services.some((service) => service.in === "host")) return [];
  const { state } = seen.supervisor;
  switch (state) {
    case "running":
      return [fine(where, `answers on ${plan.places.supervisorSocket}`)];
    case "absent":
      return [fine(where, "does not run: the stack is not up")];
    case "down":
      return [
        wrong({
          code: "SUPERVISOR_DOWN",
          where,
          expected: `an answer on ${plan.places.supervisorSocket}`,
          got: seen.supervisor.reason,
          fix: "./engineroom up ends what it left behind and starts all anew",
        }),
      ];
    case "foreign":
      // Preflight's to report.
      return [];
  }
}

/** A stranger on a port is preflight's to report. */
async function ports({ plan, seen }: World): Promise<readonly Finding[]> {
  const listeners = await listenersOn(plan.services.flatMap((service) => service.ports));
  return plan.services.flatMap((service) =>
    service.ports.flatMap(({ port }) => {
      const holders = listeners.get(port);
      const { program, container } = seen.services.get(service.name) ?? {};
      const pid = program?.pid ?? 0;
      if (container?.state === "running")
        return [fine(`port ${port}`, `${service.name}, container ${shortId(container.id)}`)];
      if (!holders) return [fine(`port ${port}`, `free, for ${service.name}`)];
      return pid > 0 ? [fine(`port ${port}`, `${service.name}, process ${holders[0]?.process?.pid ?? pid}`)] : [];
    }),
  );
}

async function models({ plan, context }: World): Promise<readonly Finding[]> {
  const wanted = new Map(plan.services.flatMap(({ model }) => (model ? [[model.name, model] as const] : [])));
  const cacheFile = `${context.host.cacheDir}/model-hashes.json`;
  const looks = [...wanted].map(async ([name, model]): Promise<readonly Finding[]> => {
    const outcome = await inspectModelFile(model, { level: "quick", cacheFile });
    // What cannot be right any more is preflight's to report.
    if (outcome.status === "failed") return [];
    return [fine(`model ${name}`, outcome.status === "ready" ? outcome.detail : outcome.reason)];
  });
  return (await Promise.all(looks)).flat();
}

/** The cards, where a service asks for one. What is in the way is preflight's to report. */
async function gpus(world: World): Promise<readonly Finding[]> {
  const { gpus: seen } = world;
  if (!seen) return [];
  const { gpuBudgets, gpuWarnings } = await import("#checks/preflight-gpu.ts");
  const { budgetWords } = await import("#checks/vram.ts");
  const [budgets, warnings] = await Promise.all([gpuBudgets(world, seen), gpuWarnings(world, seen)]);
  const found = seen.look.state === "seen" ? seen.look.gpus : [];
  return [
    ...found.map(({ index, name, uuid, driver, memory }) =>
      fine(
        `GPU ${index}`,
        [
          name,
          uuid,
          ...(memory ? [`${gibibytes(memory.totalBytes)}, ${gibibytes(memory.freeBytes)} free`] : []),
          `driver ${driver}`,
        ].join(", "),
      ),
    ),
    ...budgets
      .filter(({ verdict }) => verdict === "fits")
      .map((budget) => fine(`memory of GPU ${budget.gpu.index}`, budgetWords(budget))),
    ...[...warnings].flatMap(([service, words]) => words.map((text) => fine(service, text))),
  ];
}

/** What cannot be read is preflight's to report. */
function secrets({ plan }: World): readonly Finding[] {
  const generated = plan.services.flatMap((service) => service.generates);
  return generated.length === 0 ? [] : [fine("generated secrets", generated.join(", "))];
}

/** What somebody else runs, and this stack uses. */
function externals({ plan, seen }: World): readonly Finding[] {
  return plan.services.flatMap(({ name, external }) => {
    const outcome = seen.services.get(name)?.external;
    if (!external || !outcome) return [];
    if (outcome.status === "ready") return [fine(`external ${name}`, outcome.detail)];
    return [
      wrong({
        code: "EXTERNAL_DOWN",
        where: `services.${name}`,
        expected: "the service that somebody else runs to do its work",
        got: outcome.reason,
        fix: outcome.status === "failed" && outcome.fix ? outcome.fix : externalFix(name),
      }),
    ];
  });
}

async function passphrase({ plan: { places } }: World, env: Environment): Promise<readonly Finding[]> {
  const brought = bringsPassphrase(places, env);
  const file = brought ? env["PULUMI_CONFIG_PASSPHRASE_FILE"] : places.passphraseFile;
  const text = env["PULUMI_CONFIG_PASSPHRASE"] ?? (file ? readPassphrase(file) : undefined);
  const where = "passphrase";
  if (text === undefined) {
    if (!brought) return [fine(where, "none yet: the first up makes it")];
    return [wrong(unreadable(file ?? ""))];
  }
  const origin = env["PULUMI_CONFIG_PASSPHRASE"] === undefined ? (file ?? "") : "PULUMI_CONFIG_PASSPHRASE";
  return [...modeFinding(where, origin, brought), await salt(places, text)];
}

function readPassphrase(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

const unreadable = (file: string): Problem => ({
  code: "PASSPHRASE_FILE",
  where: "passphrase",
  expected: `a file that can be read at ${file} (PULUMI_CONFIG_PASSPHRASE_FILE)`,
  got: existsSync(file) ? "no permission to read it" : "no such file",
  fix: "correct the variable, or unset it: then engineroom keeps a passphrase of its own",
});

/** A file that others can read gives every secret of the state away. */
function modeFinding(where: string, origin: string, brought: boolean): readonly Finding[] {
  if (!origin.startsWith("/")) return [fine(where, `${origin} of this shell`)];
  const mode = statSync(origin).mode & 0o777;
  if ((mode & 0o077) === 0) return [fine(where, `${origin}, mode ${octal(mode)}${brought ? ", your own" : ""}`)];
  return [
    wrong({
      code: "PASSPHRASE_MODE",
      where: origin,
      expected: "mode 0600: it decrypts every secret of the state",
      got: octal(mode),
      fix: `chmod 600 ${origin}`,
    }),
  ];
}

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

async function salt(places: World["plan"]["places"], text: string): Promise<Finding> {
  const file = stackFileName(places.stack);
  if (await saltFits(places, text)) return fine("encryption salt", `fits ${file}, or ${file} has none`);
  return wrong({
    code: "STACK_SALT",
    where: `${file}: encryptionsalt`,
    expected: "a salt made with this passphrase",
    got: "another one",
    fix: "bring the passphrase that it was made with, or delete the line where the file holds nothing encrypted",
  });
}

/** The container engine, where the stack has containers. What is in its way is preflight's to report. */
async function engineFindings({ plan, context }: World, env: Environment): Promise<readonly Finding[]> {
  if (!plan.services.some((service) => service.in === "container")) return [];
  const look = await findEngine(env);
  if ("none" in look || judgeEngine(look, lookHere()).length > 0) return [];
  const source = readImages(context.host.cacheDir)?.source;
  const images = source && fine("images", source === "registry" ? "official ones" : "stand-ins from packages");
  return [
    fine("Docker engine", engineWords(look.engine)),
    ...neighbours(look.engine, plan.network),
    ...(images ? [images] : []),
  ];
}

/** Docker 28 was the first to drop what comes from elsewhere for a port that is published on loopback. */
const neighbours = ({ version }: Engine, network: StackPlan["network"]): readonly Finding[] =>
  network === undefined || Number.parseInt(version, 10) >= 28
    ? []
    : [
        fine(
          "published ports",
          `on loopback; with Docker ${version} a neighbour that routes ${network.subnet} to this host reaches them all the same (docs/containers.md)`,
        ),
      ];

/** Locks and what a killed run left in the state; of another backend than a directory nothing is seen. */
function engine({ plan: { places } }: World, env: Environment): readonly Finding[] {
  const url = env["PULUMI_BACKEND_URL"] ?? `file://${places.backendDir}`;
  if (!url.startsWith("file://")) return [fine("Pulumi state", `${url}, not looked at`)];
  const at = { backendDir: url.slice("file://".length), stack: places.stack };
  const locks = stackLocks(at);
  const isBusy = locks.some((lock) => lock.alive);
  const pending = isBusy ? [] : pendingOperations(at);
  return [
    fine("Pulumi state", at.backendDir),
    ...locks.map((lock) => lockFinding(lock, places.stack)),
    ...pending.map(({ type, urn }) =>
      wrong({
        code: "STATE_PENDING",
        where: urn.split("::").at(-1) ?? urn,
        expected: "no operation under way",
        got: `the last run was killed while ${type} it`,
        fix: "./engineroom up clears and completes it",
      }),
    ),
  ];
}

function lockFinding({ pid, user, host, since, alive, file }: StackLock, stack: string): Finding {
  const who = `process ${pid} of ${user} on ${host}, since ${since}`;
  if (alive) return fine("Pulumi lock", `held by ${who}`);
  return wrong({
    code: "STACK_LOCK_STALE",
    where: file,
    expected: `no lock on stack ${stack}`,
    got: `that of a run that died: ${who}`,
    fix: `./engineroom up clears it, or pulumi cancel --stack ${stack}`,
  });
}
