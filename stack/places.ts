import { createHash } from "node:crypto";
import { join } from "node:path";

/** The system user that runs every host service when engineroom itself runs as root. */
export const SERVICE_USER = "engineroom";

/** Directories of this host, shared by all projects and stacks. */
export interface HostPlaces {
  /** True when host services must run as {@link SERVICE_USER}. */
  readonly asRoot: boolean;
  /** Tools, builds and models: everything here can be made again. */
  readonly cacheDir: string;
  readonly stateHome: string;
  readonly runtimeHome: string;
}

/** Directories of one project (one checkout, or one `settings.id`). */
export interface ProjectPlaces {
  /** `settings.id`, else 12 hex digits of the real project path's hash. */
  readonly id: string;
  readonly projectDir: string;
  readonly stateDir: string;
  readonly backendDir: string;
  readonly passphraseFile: string;
}

/** Directories of one stack. */
export interface StackPlaces extends ProjectPlaces {
  readonly stack: string;
  /** `<id>/<stack>`: proves whose a process or container is. */
  readonly owner: string;
  readonly stackDir: string;
  readonly dataDir: string;
  readonly logsDir: string;
  /** One directory a service: its environment file, program settings and start records. Mode 0700. */
  readonly servicesDir: string;
  /** One directory a container: its files, and what was noted of it. Belongs to who runs engineroom. */
  readonly containersDir: string;
  /** Sockets; short, because a unix socket path holds at most 107 bytes. */
  readonly runDir: string;
  readonly supervisorSocket: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** An empty variable counts as unset (XDG Base Directory Specification). XDG directories for a user, `/var` and `/run` for root; `ENGINEROOM_{STATE,CACHE,RUNTIME}_HOME` override each. */
export function hostPlaces(env: Environment, uid: number): HostPlaces {
  const home = env["HOME"] ?? "/";
  const asRoot = uid === 0;
  const user = (xdg: string | undefined, fallback: string) => join(xdg || join(home, fallback), "engineroom");
  return {
    asRoot,
    cacheDir:
      env["ENGINEROOM_CACHE_HOME"] || (asRoot ? "/var/cache/engineroom" : user(env["XDG_CACHE_HOME"], ".cache")),
    stateHome:
      env["ENGINEROOM_STATE_HOME"] || (asRoot ? "/var/lib/engineroom" : user(env["XDG_STATE_HOME"], ".local/state")),
    runtimeHome: env["ENGINEROOM_RUNTIME_HOME"] || runtimeHome(env["XDG_RUNTIME_DIR"], uid),
  };
}

function runtimeHome(xdg: string | undefined, uid: number): string {
  if (uid === 0) return "/run/engineroom";
  return xdg ? join(xdg, "engineroom") : `/tmp/engineroom-${uid}`;
}

/** @param projectDir real path of the checkout; @param id `settings.id`, where the stack file sets one. */
export function projectPlaces(host: HostPlaces, projectDir: string, id?: string): ProjectPlaces {
  const projectId = id ?? createHash("sha256").update(projectDir).digest("hex").slice(0, 12);
  const stateDir = join(host.stateHome, projectId);
  return {
    id: projectId,
    projectDir,
    stateDir,
    backendDir: join(stateDir, "pulumi"),
    passphraseFile: join(stateDir, "passphrase"),
  };
}

export function stackPlaces(host: HostPlaces, project: ProjectPlaces, stack: string): StackPlaces {
  const stackDir = join(project.stateDir, "stacks", stack);
  const runDir = join(host.runtimeHome, project.id, stack);
  return {
    ...project,
    stack,
    owner: `${project.id}/${stack}`,
    stackDir,
    dataDir: join(stackDir, "data"),
    logsDir: join(stackDir, "logs"),
    servicesDir: join(stackDir, "services"),
    containersDir: join(project.stateDir, "containers", stack),
    runDir,
    supervisorSocket: join(runDir, "supervisor.sock"),
  };
}
