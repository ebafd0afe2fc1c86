import { chmodSync, copyFileSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { openStack } from "#observe/world.ts";
import { planHash } from "#runtime/host-plan.ts";
import { readStackFile } from "#stack/file.ts";
import { changed } from "../support/change.ts";
import { checkout, type Checkout } from "../support/checkout.ts";
import { pulumi, pulumiCommand } from "../support/driver.ts";
import { allFields } from "../support/fields.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freeOffset, freePort } from "../support/ports.ts";
import { changedResources } from "../support/preview.ts";
import { testStack, type Ended, type TestStack } from "../support/test-stack.ts";
import { wholeStack, type Ground } from "../support/whole-stack.ts";

// Proves by real previews beside a running stack what tests/unit/components/fields.test.ts proves for every field.
// By default at least one field of each kind, and those whose effect crosses services; all with ENGINEROOM_TEST_FIELDS=all,
// others by their paths: ENGINEROOM_TEST_FIELDS=services.db.port,settings.id

const BY_DEFAULT = [
  ...["settings.portOffset", "settings.id", "settings.modelsDir", "models.gemma.sha256", "secrets.token.env"],
  ...["services.db.port", "services.db.database", "services.db.user", "services.db.password"],
  ...[
    "services.broker.role",
    "services.chat.model",
    "services.llm.models",
    "services.migrate.command",
    "services.api.port",
  ],
  ...["services.tasks.nodename", "services.beat.app", "services.later.workers", "services.poller.queue"],
  ...["services.worker.threads", "services.site.build", "services.edge.routes", "services.tick.health"],
];
const wanted = process.env["ENGINEROOM_TEST_FIELDS"] ?? BY_DEFAULT.join(",");

/** What the kinds listen on by default. */
const DEFAULT_PORTS = [5432, 6379, 8081, 11434, 8000, 3000, 8080, 1883, 9000, 9090];

/** Names only: the values are known when the stack's directory is. */
const rows = allFields({ ports: [] } as unknown as Ground);
const names = rows.map(([path]) => path.join("."));
const asked = names.filter((name, index) => {
  const row = rows[index]?.[1];
  if (row === undefined || "fixed" in row || row.planOnly !== undefined) return false;
  return wanted === "all" || wanted.split(",").includes(name);
});

let clone: Checkout;
let ground: Ground;
let stack: TestStack;
let environment: Readonly<Record<string, string>>;

foreignersStayUntouched();

beforeAll(async () => {
  clone = checkout();
  ground = await groundIn(clone);
  stack = testStack(clone, "fields", wholeStack(ground));
  environment = { ...clone.env, FIELDS_TOKEN: "one", FIELDS_OTHER_TOKEN: "two" };
  const up = await stack.run(pulumi.argv(stack, "up"), { env: environment });
  expect(up.exitCode, up.output).toBe(0);
  // Previews go to Pulumi itself: the shell around it would take longer than they do.
  const shell = await pulumiCommand(stack, "version");
  expect(shell.exitCode, shell.output).toBe(0);
  const prepared = await stack.run(["/bin/sh", "-c", `eval "$(./engineroom --stack ${stack.name} env)" && env -0`], {
    env: environment,
  });
  environment = Object.fromEntries(
    prepared.stdout.split("\0").flatMap((line) => {
      const at = line.indexOf("=");
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  clone[Symbol.dispose]();
});

it("a stack with every kind changes nothing by itself", async () => {
  expect(changedResources(await preview())).toEqual([]);
});

it("the command line plans the same bytes from the file as Pulumi's program has applied", () => {
  const file = readStackFile(clone.dir, stack.name);
  if ("problems" in file) throw new Error(JSON.stringify(file.problems));
  const opened = openStack({ ...file, stack: stack.name, projectDir: clone.dir, env: environment });
  if ("problems" in opened) throw new Error(JSON.stringify(opened.problems));
  const applied = [...opened.hostPlans].map(([service, plan]) => {
    const home = join(stack.places.servicesDir, service);
    const mark = readFileSync(join(home, plan.job ? "done.json" : "installed.json"), "utf8");
    return [service, (JSON.parse(mark) as { readonly plan: string }).plan === planHash(plan)];
  });
  expect(applied).toEqual([...opened.hostPlans.keys()].map((service) => [service, true]));
});

it.each(asked)("%s names exactly what must follow", async (name) => {
  const row = rowOf(name);
  const { value, changes, refused = row.refusedBeside } = row;
  stack.write(changed(wholeStack(ground), pathOf(name), value));
  const seen = await preview();
  if (refused === undefined) expect(changedResources(seen), seen.output).toEqual([...new Set(changes)].sort());
  else expect(seen.output).toContain(`[${refused}]`);
});

it("afterwards nothing has changed", async () => {
  stack.write(wholeStack(ground));
  expect(changedResources(await preview())).toEqual([]);
});

const preview = (): Promise<Ended> =>
  stack.run(["pulumi", "preview", "--json", "--non-interactive", "--stack", stack.name], { env: environment });

function rowOf(name: string) {
  const row = allFields(ground)[names.indexOf(name)]?.[1];
  if (row === undefined || "fixed" in row) throw new Error(`${name} has no other value`);
  return row;
}

/** Every source of a secret is another value of the secret itself. */
const pathOf = (name: string): readonly string[] =>
  name.split(".").slice(0, name.startsWith("secrets.") ? 2 : undefined);

async function groundIn({ base, dir }: Checkout): Promise<Ground> {
  const { config } = parse(readFileSync(join(dir, "Pulumi.local.yaml"), "utf8")) as {
    readonly config: Readonly<Record<string, Record<string, { readonly file: string; readonly sha256: string }>>>;
  };
  const [model] = Object.values(config["engineroom:models"] ?? {});
  if (!model) throw new Error("Pulumi.local.yaml declares no model");
  for (const shelf of ["models", "more-models"]) {
    mkdirSync(join(base, shelf));
    chmodSync(join(base, shelf), 0o755);
    for (const name of ["gemma.gguf", "other.gguf"]) {
      linkOrCopy(join(base, "cache", "models", model.file), join(base, shelf, name));
    }
  }
  mkdirSync(join(dir, "other"));
  writeFileSync(join(dir, "other", "requirements.txt"), "");
  writeFileSync(join(dir, "app.env"), "EXTRA=1\n");
  mkdirSync(join(dir, "pages"));
  writeFileSync(join(dir, "pages", "package.json"), "{}");
  return {
    app: "./examples/apps/api",
    otherApp: "./other",
    jobs: "./examples/apps/worker",
    pages: "./examples/apps/web",
    otherPages: "./pages",
    modelsDir: join(base, "models"),
    otherModelsDir: join(base, "more-models"),
    model: "gemma.gguf",
    otherModel: "other.gguf",
    modelSha256: model.sha256,
    portOffset: await freeOffset([...DEFAULT_PORTS, ...DEFAULT_PORTS.map((port) => port + 500)]),
    ports: [await freePort(), await freePort()],
  };
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
