import type { Command } from "commander";
import { UserError } from "#cli/errors.ts";
import { globalOptions, projectDir, report } from "#cli/options.ts";
import { sum, suites, type Counts } from "#operations/suites.ts";
import { lookHere } from "#setup/docker.ts";
import { setUpDocker } from "#setup/docker-parts.ts";
import { pulumiEnvironment } from "#setup/environment.ts";
import { imagesToTest } from "#setup/image-references.ts";
import { setUpImages } from "#setup/images.ts";
import { modelFiles } from "#setup/models.ts";
import { setUp, setUpModel } from "#setup/setup.ts";
import { hostParts } from "#setup/tools.ts";
import { nearest } from "#stack/problems.ts";
import { hostPlaces, projectPlaces } from "#stack/places.ts";

export function define(command: Command): void {
  command
    .argument("[suites...]", `which to run; all without any: ${suites.map((suite) => suite.name).join(", ")}`)
    .action(async (names: readonly string[]) => {
      const chosen = choose(names);
      const { env } = process;
      const options = { install: globalOptions(command).install, projectDir, report, env };
      const real = chosen.some((suite) => suite.containers);
      const noOllama = real ? await prepareOllama(options) : undefined;
      if (noOllama !== undefined) report(`tests of Ollama are skipped: ${noOllama}`);
      const tools = await setUp({ parts: hostParts, ...options });
      const [model = ""] = await Promise.all(modelFiles.map((file) => setUpModel(file, options)));
      const host = hostPlaces(env, process.getuid?.() ?? 0);
      const project = projectPlaces(host, projectDir);
      // The tools, and not the state: every test brings a state of its own.
      const {
        PULUMI_BACKEND_URL: _url,
        PULUMI_CONFIG_PASSPHRASE_FILE: _file,
        ...toolEnv
      } = pulumiEnvironment({
        host,
        project,
        tools,
        env,
      });
      const noDocker = real ? await prepareContainers(options, noOllama) : undefined;
      if (noDocker !== undefined) report(`container tests are skipped: ${noDocker}`);
      const testEnv = { ...env, ...toolEnv, [NO_DOCKER]: noDocker, [NO_OLLAMA]: noOllama };
      const context = { projectDir, cacheDir: host.cacheDir, tools, model, env: testEnv, report };
      const all: Counts[] = [];
      for (const suite of chosen) {
        report(`\n== ${suite.name}`);
        const started = performance.now();
        const counts = await suite.run(context);
        report(`== ${suite.name}: ${words(counts)} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
        all.push(counts);
      }
      const total = sum(all);
      process.stdout.write(`${words(total)}\n`);
      process.exitCode = total.failed === 0 ? 0 : 1;
    });
}

/** Tells tests why they cannot run containers; tests/support/docker.ts reads it. */
const NO_DOCKER = "ENGINEROOM_TEST_NO_DOCKER";

const NO_OLLAMA = "ENGINEROOM_TEST_NO_OLLAMA";

/**
 * Gets Ollama, which is built where it cannot be downloaded; that takes a C++ compiler.
 *
 * @returns why there can be none here.
 */
async function prepareOllama(options: Parameters<typeof setUpDocker>[0]): Promise<string | undefined> {
  try {
    await setUp({ ...options, parts: ["ollama"] });
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

/**
 * Gets what container tests need. Where root can install an engine no reason keeps them from running.
 *
 * @returns why they cannot run here.
 */
async function prepareContainers(
  options: Parameters<typeof setUpDocker>[0],
  noOllama: string | undefined,
): Promise<string | undefined> {
  try {
    await setUpDocker(options);
    // Any test may start any kind.
    await setUpImages(options, imagesToTest(noOllama));
    return undefined;
  } catch (error) {
    const { asRoot, debianLike } = lookHere();
    if (!(error instanceof UserError) || (options.install && asRoot && debianLike)) throw error;
    return error.message;
  }
}

function choose(names: readonly string[]): typeof suites {
  const known = suites.map((suite) => suite.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const similar = nearest(unknown, known);
    throw new UserError("USAGE", `suite: expected one of ${known.join(", ")}, got ${unknown}.`, {
      exitCode: 2,
      ...(similar && { fix: `./engineroom test ${similar}` }),
    });
  }
  return names.length === 0 ? suites : suites.filter((suite) => names.includes(suite.name));
}

const words = ({ passed, failed, skipped }: Counts): string => `${passed} passed, ${failed} failed, ${skipped} skipped`;
