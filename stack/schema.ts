import { z } from "zod";
import { parseDuration, parseSize } from "./units.ts";

// A schema parses a few objects a start: to compile it first takes longer than to parse.
z.config({ jitless: true });

// A message here says what was expected; zod-problems.ts makes a sentence of it.

/** `90s`, `10m`: milliseconds. */
export const duration = withUnit(parseDuration, "a time such as `90s`, `500ms` or `10m`");

/** `2GiB`, `512MB`: bytes. */
export const size = withUnit(parseSize, "a size such as `512MiB` or `2GB`");

function withUnit(parse: (text: string) => number | undefined, expected: string) {
  return z.string(expected).transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });
}

const PORT = "a port 1-65535";
export const port = z.int(PORT).min(1, PORT).max(65_535, PORT);

/** A name that is safe as a database or role name without quoting; longer ones Postgres would cut. */
export const identifier = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, "a name of at most 63 letters, digits and `_`, no digit first");

/** Path that a server is asked for. */
export const urlPath = z.string().startsWith("/", "a path that starts with `/`");

/** `${secret.NAME}`: the secret's name, `secret.NAME`. A literal password has no place in a stack file. */
export const password = z
  .string()
  .regex(/^\$\{secret\.[A-Za-z][A-Za-z0-9]*\}$/)
  .transform((reference) => reference.slice(2, -1));

/** Path in a container. */
export const absolutePath = z.string().regex(/^\/(?!.*\/\.\.?(\/|$)).*[^/]$/, "an absolute path, such as `/data`");

export const argv = z.array(z.string()).min(1);

/** A text, or what YAML makes of one without quotes. */
export const scalar = z
  .union([z.string(), z.number(), z.boolean()], 'a text, a number, true or false (`""` for an empty text)')
  .transform(String);

/** supervisord would take the rest of the line for a comment. */
const logPath = z.string().regex(/^(?!.*\s[;#])[^\p{Cc}]+$/u, "a path without ` #` and ` ;`");

const place = z.enum(["host", "container"]);

/** A name or an IPv4 address. */
const hostName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "a host's name, or an IPv4 address");

/** Without bits set beyond its own: with 16 of them the third number is 0. */
function isSubnet(text: string): boolean {
  const [, address = "", bits = ""] = /^((?:\d{1,3}\.){3}0)\/(1[6-9]|2[0-4])$/.exec(text) ?? [];
  const [a = 256, b = 256, c = 256] = address.split(".").map(Number);
  return Math.max(a, b, c) < 256 && c % 2 ** (24 - Number(bits)) === 0;
}

/** As the engine takes it for containers and volumes. */
const engineName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$/, "a name of letters, digits and `_.-`, a letter or digit first");

/** Of the engine, for a container. */
const LEAST_MEMORY = 6 * 2 ** 20;

const CPUS = "a number of CPUs, such as 1.5";

/** What every kind has, jobs too. */
export const baseSettings = {
  /** Where it runs; `external`: somebody else runs it. Default: `settings.in`. */
  in: z.enum([...place.options, "external"]).optional(),
  /** False takes it out of the stack; what refers to it must say `${name.key?}`. */
  enabled: z.boolean().default(true),
  /** False turns its failure into a warning. */
  required: z.boolean().default(true),
  /** Services that must be ready first, besides those that it refers to; `name?` where it may be disabled. */
  needs: z.array(z.string()).default([]),
  /** Services that it refers to and does not wait for. */
  doesNotWaitFor: z.array(z.string()).default([]),
  /** Environment variables; values may refer to other services and to secrets. */
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a variable's name: letters, digits and `_`"), scalar)
    .default({}),
  /** File of further variables, `KEY=value` a line; `env` wins over it. Its values are treated as secrets. */
  envFile: z.string().min(1).optional(),
  /** Where it logs. Default: `<state>/logs/<name>.log`. */
  logFile: logPath.optional(),
  /** Most memory that it may use: enforced on a container, watched on the host. Default in a container: a kind's own. */
  memory: size.refine((bytes) => bytes >= LEAST_MEMORY, "at least 6MiB: no engine takes a lower limit").optional(),
  /** Most CPUs that its container may use, such as 1.5. */
  cpus: z.number(CPUS).positive(CPUS).max(1024, CPUS).optional(),
  /** Name of its container. Default: `<stack>-<name>`. */
  containerName: engineName.optional(),
};

/** What every kind that stays up has. */
export const commonSettings = {
  ...baseSettings,
  /** Where its standard error goes. Default: into `logFile`. */
  errorLog: logPath.optional(),
  /** What happens when it exits. */
  restart: z.enum(["always", "on-failure", "no"]).default("always"),
  /** How long its check may take to succeed. Default: a kind's own. */
  ready: z.strictObject({ timeout: duration.optional() }).default({}),
  /** Asks it to stop. Default: what the program treats as a clean stop. */
  stopSignal: z.enum(["TERM", "INT", "QUIT"]).optional(),
  /** How long it may take to stop before it is killed. Default: a kind's own. */
  stopGrace: duration.optional(),
  /** Where its process id is written, for other tools. */
  pidFile: z.string().optional(),
};

/** What a service has that somebody else runs. */
export const externalSettings = {
  in: z.literal("external"),
  enabled: baseSettings.enabled,
  required: baseSettings.required,
  needs: baseSettings.needs,
  ready: commonSettings.ready,
  /** Where it is, as this host sees it. */
  host: hostName.default("127.0.0.1"),
  /** Default: the kind's own, without `settings.portOffset`. */
  port: port.optional(),
};

/** What kinds with data have. */
export const dataSettings = {
  /** Whether `destroy` keeps its data. Default: `settings.data`. */
  data: z.enum(["kept", "disposable"]).optional(),
  /** Name of its container's volume. Default: `<stack>-<name>`. */
  volumeName: engineName.optional(),
};

const GPU = "`all`, `{ count: 1 }` or `{ uuids: [GPU-…] }`, with `required: false` where the CPU will do";
const gpuUuid = z
  .string()
  .regex(/^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "a UUID as `nvidia-smi -L` prints it, `GPU-…`");
/** False: where there is none, it runs on the CPU. */
const gpuRequired = z.boolean().default(true);

const gpu = z.union(
  [
    z.literal("all"),
    // The first ones, in the order of nvidia-smi.
    z.strictObject({
      count: z.union([z.literal("all"), z.int().min(1).max(64)], "a number of cards, or `all`"),
      required: gpuRequired,
    }),
    z.strictObject({ uuids: z.array(gpuUuid).min(1), required: gpuRequired }),
  ],
  GPU,
);
export type GpuSettings = z.output<typeof gpu>;

/** What kinds have that may compute on a GPU. */
export const gpuSettings = {
  /** Cards of NVIDIA that it is given. */
  gpu: gpu.optional(),
};

/** What kinds have that run somebody's application. */
export const applicationSettings = {
  ...gpuSettings,
  /** Directory of the application: `requirements.txt` makes a Python environment, `package.json` built pages. */
  build: z.string().optional(),
  /** Image that its container runs instead of a `build`; best with its digest, `name:tag@sha256:…`. */
  image: z
    .string()
    .regex(/^[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$/, "an image's name, such as `ghcr.io/me/app:1.2@sha256:…`")
    .optional(),
  /** User of its container, `uid` or `uid:gid`. Default: 10001:10001 with `build`, the image's own with `image`. */
  runAs: z
    .string()
    .regex(/^\d+(:\d+)?$/, "a user id, or `uid:gid`, in quotes")
    .optional(),
  /** Whether its container's root file system is read-only. Default: true with `build`, false with `image`. */
  readOnly: z.boolean().optional(),
  /** Capabilities that its container is left, such as `CAP_NET_BIND_SERVICE`. Default: none with `build`, the engine's few that official images start with, with `image`. */
  capabilities: z.array(z.string().regex(/^CAP_[A-Z_]+$/, "a capability, such as `CAP_NET_BIND_SERVICE`")).optional(),
  /** Directory to run in. Default: the application's own. */
  cwd: z.string().optional(),
};

/** What kinds have whose program reloads what is edited. */
export const dev = z.boolean().optional();

type Output<Shape extends z.core.$ZodLooseShape> = z.output<z.ZodObject<Shape>>;

export type CommonSettings = Output<typeof baseSettings> & Partial<Output<typeof commonSettings>>;

/** Directory of an application: `requirements.txt` makes a Python environment, `package.json` built pages. */
export const build = z.string();

export const stackSettings = z.strictObject({
  /** Where services run unless they say otherwise. */
  in: place.default("host"),
  /** Names this stack's owner instead of the checkout's path, for runners whose path changes. */
  id: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, "at most 31 lower-case letters, digits and hyphens")
    .optional(),
  /** Added to each kind's default port, never to an explicit `port`. */
  portOffset: z.int().min(0).max(60_000).default(0),
  /** Where relative model files are looked up. Default: the models directory of the cache. */
  modelsDir: z.string().optional(),
  /** `small`: the small model that set-up brings stands in for every model; `engineroom models use` writes it. */
  models: z.enum(["declared", "small"]).default("declared"),
  /** Whether `destroy` keeps the services' data. */
  data: z.enum(["kept", "disposable"]).default("kept"),
  /** Name of the network that the stack's containers share. Default: `engineroom-<stack>`. */
  networkName: engineName.optional(),
  /** Addresses of that network. Default: one that follows from the stack's owner. */
  subnet: z.string().refine(isSubnet, "a network's own address and 16 to 24 bits, such as 10.77.1.0/24").optional(),
});

const SOURCE = "one of { url: https://… }, { huggingFace: { repo: NAME/REPOSITORY, file: … } }";

const urlSource = z.strictObject({
  /** Where a web server has the file. Who reads the stack file reads it: no place for a token. */
  url: z.url({ protocol: /^https?$/, error: "an address that begins with https:// or http://" }).refine((url) => {
    const { username, password: secret } = new URL(url);
    return username === "" && secret === "";
  }, "an address without a user and a password"),
});

const huggingFaceSource = z.strictObject({
  huggingFace: z.strictObject({
    /** `NAME/REPOSITORY` */
    repo: z.string().regex(/^[\w.-]+\/[\w.-]+$/, "a repository, such as `ggml-org/gemma-3-4b-it-GGUF`"),
    /** Path in it; of a split model the first part. */
    file: z.string().regex(/^(?!\/)(?!.*\.\.)[\w./-]+\.gguf$/, "the path of a `.gguf` file in the repository"),
    /** Path of the projector in it, which becomes the model's `mmproj`. */
    mmproj: z
      .string()
      .regex(/^(?!\/)(?!.*\.\.)[\w./-]+\.gguf$/, "the path of a `.gguf` file in the repository")
      .optional(),
    /** Branch, tag or commit. */
    revision: z
      .string()
      .regex(/^[\w.-]+$/, "a branch, a tag or a commit")
      .default("main"),
    /** `${secret.NAME}`: what opens a repository that is not open to all. Default: the variable HF_TOKEN, if set. */
    token: password.optional(),
  }),
});

export const modelSettings = z.strictObject({
  /** Path below `modelsDir`, or absolute. Of a split model: the first part. */
  file: z.string(),
  /** Refuses a file with another content. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "64 hex digits, as `sha256sum` prints them")
    .optional(),
  /** Where set-up gets the file while it is not there. */
  source: z.union([urlSource, huggingFaceSource], SOURCE).optional(),
  /** Projector of a vision model, looked up as `file` is. */
  mmproj: z.string().optional(),
  /** `wait`: a download by other means is under way. */
  missing: z.enum(["fail", "wait"]).default("fail"),
  /** How long the size must not change before the file counts as complete. */
  stable: duration.default(2000),
  /** How long `up` waits for a file that is not there, or not whole yet. */
  waitTimeout: duration.default(3_600_000),
});

export const secretSettings = z.union([
  z.string().transform((value) => ({ from: "config" as const, value })),
  z
    .strictObject({ env: z.string(), required: z.boolean().default(true) })
    .transform(({ env, required }) => ({ from: "env" as const, variable: env, required })),
  z
    .strictObject({ file: z.string(), required: z.boolean().default(true) })
    .transform(({ file, required }) => ({ from: "file" as const, path: file, required })),
  z
    .strictObject({ generate: z.int().min(16).max(1024) })
    .transform(({ generate }) => ({ from: "generate" as const, bytes: generate })),
]);

/** The sections of `config:` that are ours, under `engineroom:`. */
export const sections = ["settings", "models", "secrets", "services"] as const;

interface NameRule {
  readonly pattern: RegExp;
  readonly expected: string;
}

/** Short, for socket paths and host names. `self` and `secret` mean something else in a reference; `relay` is ours. */
export const serviceName: NameRule = {
  pattern: /^(?!(?:self|secret|relay)$)[a-z][a-z0-9-]{0,30}$/,
  expected:
    "a name of at most 31 lower-case letters, digits and hyphens, a letter first, and not `self`, `secret` or `relay`",
};

/** Goes to the model server as the model's alias, where a comma would divide it. */
export const modelName: NameRule = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,63}$/,
  expected: "a name of at most 64 letters, digits and `.:_-`, a letter or digit first",
};

/** What `${secret.NAME}` can hold. */
export const secretName: NameRule = {
  pattern: /^[A-Za-z][A-Za-z0-9]*$/,
  expected: "a name of letters and digits, a letter first",
};
