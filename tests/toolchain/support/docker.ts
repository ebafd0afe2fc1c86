import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { askEngine, engineHost } from "#setup/docker-api.ts";
import { Project } from "#tests/toolchain/support/project.ts";

const host = engineHost(process.env);
const label = "engineroom.test";
const filters = JSON.stringify({ label: [label] });

/** A project whose program may build images out of `context`, without any registry: it holds a shell of this host. */
export async function dockerProject(program: string): Promise<Project> {
  const project = await Project.make(program, { DOCKER_HOST: host, OWNER: String(process.pid) });
  await makeRoot(join(project.dir, "context"));
  return project;
}

async function makeRoot(root: string): Promise<void> {
  const programs = ["sh", "cat", "md5sum", "sleep"].map((name) => `/bin/${name}`);
  const { stdout } = await execa("ldd", programs);
  const libraries = stdout.match(/\/\S+(?= \(0x)/g) ?? [];
  for (const file of new Set([...programs, ...libraries])) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
}

interface Found {
  readonly Id?: string;
  readonly Name?: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** Everything that programs of this process made and that is still there. */
export async function leftInEngine(isWanted = (owner: number) => owner === process.pid): Promise<readonly string[]> {
  const list = async (path: string, of: (answer: Readonly<Record<string, readonly Found[]>>) => readonly Found[]) => {
    const found = of(await askEngine(host, { path, query: { all: "true", filters } }));
    return found.filter(({ Labels }) => isWanted(Number(Labels[label])));
  };
  const all = (answer: unknown) => answer as readonly Found[];
  const [containers, networks, volumes, images] = await Promise.all([
    list("/containers/json", all),
    list("/networks", all),
    list("/volumes", (answer) => answer["Volumes"] ?? []),
    list("/images/json", all),
  ]);
  return [
    ...containers.map(({ Id }) => `/containers/${Id ?? ""}`),
    ...networks.map(({ Id }) => `/networks/${Id ?? ""}`),
    ...volumes.map(({ Name }) => `/volumes/${Name ?? ""}`),
    ...images.map(({ Id }) => `/images/${Id ?? ""}`),
  ];
}

export async function removeFromEngine(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await askEngine(host, {
      method: "DELETE",
      path,
      ...(!path.startsWith("/networks/") && { query: { force: "true" } }),
    });
  }
}

/** What tests of this process and of ones that were killed have left. */
export async function sweepEngine(): Promise<void> {
  await removeFromEngine(await leftInEngine((owner) => owner === process.pid || !isAlive(owner)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
