import { join } from "node:path";
import { execa } from "execa";
import { makeAtomic } from "#setup/atomic.ts";
import { findGo } from "#setup/go.ts";
import { isExecutable } from "#setup/path.ts";
import { prepared } from "#setup/setup.ts";
import { hostPlaces } from "#stack/places.ts";

/** The peer: from its Go module, with the dependencies that its own go.sum names. */
const MODULE = "github.com/docker/compose/v2";
export const COMPOSE_VERSION = "v2.40.3";
/** Of the module's content, as Go's checksum database has it. */
const SUM = "h1:XeYkQu1svDtyfZPv5nTwFryQ25ZJMkIlc4pz9HalMPI=";

const LIMIT_MS = 3_600_000;

/** Builds docker compose, unless that was done before; only the bench uses it. @returns its path. */
export async function buildCompose(say: (line: string) => void, signal: AbortSignal): Promise<string> {
  const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
  // Under this name it takes its own words, with no docker command before it.
  const program = join(cacheDir, "bench", `compose-${COMPOSE_VERSION}`, "docker-compose");
  if (isExecutable(program)) return program;
  const options = { install: false, projectDir: process.cwd(), env: process.env, report: say };
  await prepared(options, "compose", async (context) => {
    if (isExecutable(program)) return;
    const { path: go } = await findGo(context);
    const home = process.env["HOME"] === undefined ? { GOPATH: join(cacheDir, "go") } : {};
    const run = (args: readonly string[], cwd: string) =>
      // Hours of others' work may run beside it.
      execa("nice", ["-n", "15", go, ...args], {
        cwd,
        env: { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOWORK: "off", GOTOOLCHAIN: "local", ...home },
        stdin: "ignore",
        timeout: LIMIT_MS,
        cancelSignal: signal,
      });
    say(`compose: building ${MODULE} ${COMPOSE_VERSION}, which takes minutes`);
    const { stdout } = await run(["mod", "download", "-json", `${MODULE}@${COMPOSE_VERSION}`], "/");
    const { Dir: source, Sum: sum } = JSON.parse(stdout) as { readonly Dir: string; readonly Sum: string };
    if (sum !== SUM) throw new Error(`${MODULE} ${COMPOSE_VERSION}: expected the content ${SUM}, got ${sum}`);
    await makeAtomic(join(program, ".."), async (temporary) => {
      const version = `-s -w -X ${MODULE}/internal.Version=${COMPOSE_VERSION}`;
      const output = join(temporary, "docker-compose");
      await run(["build", "-trimpath", "-buildvcs=false", "-ldflags", version, "-o", output, "./cmd"], source);
    });
  });
  return program;
}
