import { LABEL } from "#observe/docker.ts";
import { askEngine, askEngineText, engineHost, EngineError, type EngineCall } from "#setup/docker-api.ts";
import { noDocker } from "./docker.ts";

const host = engineHost(process.env);

/** One call to the real engine, past engineroom. */
export const engine = <T = unknown>(call: EngineCall): Promise<T> => askEngine<T>(host, call);

export type Labels = Readonly<Record<string, string>>;

/** What the engine has of somebody, by name. */
export interface Holdings {
  /** Stopped ones too. */
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly volumes: readonly string[];
  /** `name:tag`; the id of one that has lost its name. */
  readonly images: readonly string[];
}

export const NOTHING: Holdings = { containers: [], networks: [], volumes: [], images: [] };

interface Line {
  readonly Labels: Labels | null;
}

/** What bears labels of engineroom that are as wanted. */
export async function holdings(isWanted: (labels: Labels) => boolean): Promise<Holdings> {
  const wanted = ({ Labels: labels }: Line): boolean => labels?.[LABEL.owner] !== undefined && isWanted(labels);
  const [containers, networks, volumes, images] = await Promise.all([
    engine<readonly (Line & { readonly Names: readonly string[] })[]>({
      path: "/containers/json",
      query: { all: "1" },
    }),
    engine<readonly (Line & { readonly Name: string })[]>({ path: "/networks" }),
    engine<{ readonly Volumes: readonly (Line & { readonly Name: string })[] | null }>({ path: "/volumes" }),
    engine<readonly (Line & { readonly Id: string; readonly RepoTags: readonly string[] | null })[]>({
      path: "/images/json",
    }),
  ]);
  const tags = ({ Id, RepoTags }: (typeof images)[number]): readonly string[] =>
    RepoTags === null || RepoTags.includes("<none>:<none>") ? [Id] : RepoTags;
  return {
    containers: containers
      .filter(wanted)
      .map(({ Names }) => Names[0]?.slice(1) ?? "")
      .sort(),
    networks: networks
      .filter(wanted)
      .map(({ Name }) => Name)
      .sort(),
    volumes: (volumes.Volumes ?? [])
      .filter(wanted)
      .map(({ Name }) => Name)
      .sort(),
    images: images.filter(wanted).flatMap(tags).sort(),
  };
}

/** Removes all of it; where no engine answers there is nothing. */
export async function removeHoldings(isWanted: (labels: Labels) => boolean): Promise<void> {
  if (noDocker !== undefined) return;
  const found = await holdings(isWanted);
  for (const name of found.containers) await remove(`/containers/${name}`, { force: "1", v: "1" });
  for (const name of found.networks) await remove(`/networks/${name}`);
  for (const name of found.volumes) await remove(`/volumes/${name}`);
  for (const name of found.images) await remove(`/images/${name}`);
}

/** Gone already is as good. */
async function remove(path: string, query?: Readonly<Record<string, string>>): Promise<void> {
  try {
    await engine({ method: "DELETE", path, ...(query && { query }) });
  } catch (error) {
    if (!(error instanceof EngineError && (error.status === 404 || (await isMiscounted(path, error))))) throw error;
  }
}

/** Docker 20.10 can lose count of a network's endpoints; then it removes the empty one only after its own restart. */
async function isMiscounted(path: string, { status, message }: EngineError): Promise<boolean> {
  if (!path.startsWith("/networks/") || status !== 403 || !message.includes("has active endpoints")) return false;
  const { Containers } = await engine<{ readonly Containers: object }>({ path });
  return Object.keys(Containers).length === 0;
}

/** What `docker inspect` says of a container, as far as tests look at it. */
export interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly Pid: number; readonly StartedAt: string };
  readonly Config: {
    readonly Image: string;
    readonly User: string;
    readonly Env: readonly string[];
    readonly Labels: Labels;
  };
  readonly HostConfig: Readonly<Record<string, unknown>> & {
    readonly PortBindings: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[]>
    > | null;
  };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly Gateway: string; readonly IPAddress: string }>>;
  };
}

export const inspect = (name: string): Promise<Inspected> => engine<Inspected>({ path: `/containers/${name}/json` });

/** Both streams, with the engine's frames between. */
export const logOf = (name: string): Promise<string> =>
  askEngineText(host, { path: `/containers/${name}/logs`, query: { stdout: "1", stderr: "1" } });

/** One that went between two looks. */
function absent(error: unknown): undefined {
  if (!(error instanceof EngineError) || error.status !== 404) throw error;
}

/** A stack's containers by service, stopped ones too. */
export async function containersOf(owner: string): Promise<Readonly<Record<string, Inspected>>> {
  const { containers } = await holdings((labels) => labels[LABEL.owner] === owner);
  const found = await Promise.all(containers.map((name) => inspect(name).catch(absent)));
  return Object.fromEntries(
    found.flatMap((one) => (one ? [[one.Config.Labels[LABEL.service] ?? one.Name, one] as const] : [])),
  );
}
