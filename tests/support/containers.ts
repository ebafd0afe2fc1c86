import { existsSync } from "node:fs";
import { askEngine, askEngineText, engineHost } from "#setup/docker-api.ts";

export const host = engineHost(process.env);

/** Names the process that made it, so that the next run removes what a killed one left. */
const LABEL = "engineroom.test-process";
export const testLabels = { [LABEL]: String(process.pid) };

export interface Run {
  readonly image: string;
  readonly command: readonly string[];
  /** `UID:GID` */
  readonly user: string;
  /** Host paths, or names of volumes, to paths inside. */
  readonly mounts?: Readonly<Record<string, string>>;
  readonly tmpfs?: Readonly<Record<string, string>>;
}

/**
 * Runs a container to its end as a service's is run: no network, no capabilities, a read-only root. It is removed in
 * any case.
 */
export async function run({
  image,
  command,
  user,
  mounts = {},
  tmpfs = {},
}: Run): Promise<{ code: number; output: string }> {
  const { Id: id } = await askEngine<{ readonly Id: string }>(host, {
    method: "POST",
    path: "/containers/create",
    json: {
      Image: image,
      Entrypoint: [command[0]],
      Cmd: command.slice(1),
      User: user,
      // One stream, without frames.
      Tty: true,
      Labels: testLabels,
      HostConfig: {
        NetworkMode: "none",
        ReadonlyRootfs: true,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        Init: true,
        Tmpfs: { "/tmp": "exec,mode=1777", ...tmpfs },
        Binds: Object.entries(mounts).map(([from, to]) => `${from}:${to}`),
      },
    },
  });
  try {
    await askEngine(host, { method: "POST", path: `/containers/${id}/start` });
    const { StatusCode: code } = await askEngine<{ readonly StatusCode: number }>(host, {
      method: "POST",
      path: `/containers/${id}/wait`,
      signal: AbortSignal.timeout(90_000),
    });
    const output = await askEngineText(host, {
      path: `/containers/${id}/logs`,
      query: { stdout: "1", stderr: "1" },
    });
    return { code, output: output.replaceAll("\r\n", "\n").trim() };
  } finally {
    await removeContainer(id);
  }
}

export async function removeContainer(id: string): Promise<void> {
  await askEngine(host, { method: "DELETE", path: `/containers/${id}`, query: { force: "1", v: "1" } });
}

export interface StrangerOptions {
  readonly name?: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** `NAME=value` */
  readonly env?: readonly string[];
  readonly network?: string;
  /** Port of this host to port inside. */
  readonly ports?: Readonly<Record<number, number>>;
}

export interface StrangerContainer extends AsyncDisposable {
  readonly id: string;
}

/** A container of somebody else, that runs until it is disposed of. */
export async function startStrangerContainer(options: StrangerOptions): Promise<StrangerContainer> {
  const { name, image, command, labels = {}, env = [], network, ports = {} } = options;
  const bindings = Object.entries(ports).map(
    ([outer, inner]) => [`${inner}/tcp`, [{ HostIp: "127.0.0.1", HostPort: outer }]] as const,
  );
  const { Id: id } = await askEngine<{ readonly Id: string }>(host, {
    method: "POST",
    path: "/containers/create",
    ...(name !== undefined && { query: { name } }),
    json: {
      Image: image,
      Cmd: command,
      Labels: { ...testLabels, ...labels },
      Env: env,
      ExposedPorts: Object.fromEntries(bindings.map(([port]) => [port, {}])),
      HostConfig: {
        Init: true,
        PortBindings: Object.fromEntries(bindings),
        ...(network !== undefined && { NetworkMode: network }),
      },
    },
  });
  await askEngine(host, { method: "POST", path: `/containers/${id}/start` });
  return { id, [Symbol.asyncDispose]: () => removeContainer(id) };
}

/** A network shows itself alike. */
interface Volume {
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>> | null;
}

export async function makeVolume(name: string): Promise<string> {
  const json = { Name: name, Labels: testLabels };
  return (await askEngine<Volume>(host, { method: "POST", path: "/volumes/create", json })).Name;
}

/** Removes containers, networks and volumes of this process, and of test processes that are gone. */
export async function removeLeftovers(): Promise<void> {
  const filters = JSON.stringify({ label: [LABEL] });
  const isOurs = (labels: Volume["Labels"]): boolean => {
    const pid = labels?.[LABEL] ?? "";
    return pid === String(process.pid) || !existsSync(`/proc/${pid}`);
  };
  const containers = await askEngine<readonly { readonly Id: string; readonly Labels: Volume["Labels"] }[]>(host, {
    path: "/containers/json",
    query: { all: "1", filters },
  });
  for (const { Id } of containers.filter(({ Labels }) => isOurs(Labels))) await removeContainer(Id);
  const networks = await askEngine<readonly Volume[]>(host, { path: "/networks", query: { filters } });
  for (const { Name } of networks.filter(({ Labels }) => isOurs(Labels))) {
    await askEngine(host, { method: "DELETE", path: `/networks/${Name}` });
  }
  const { Volumes } = await askEngine<{ readonly Volumes: readonly Volume[] | null }>(host, {
    path: "/volumes",
    query: { filters },
  });
  for (const { Name } of (Volumes ?? []).filter(({ Labels }) => isOurs(Labels))) {
    await askEngine(host, { method: "DELETE", path: `/volumes/${Name}` });
  }
}
