import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, pulumi, pulumiCommand } from "../support/driver.ts";
import { engine, NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { signal } from "../support/processes.ts";
import { describeCases, itWhere, runtimes } from "../support/runtimes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

const cases = runtimes.map((runtime) => ({ runtime }));

describeCases(cases, "a database and its migration, in: $runtime", ({ runtime }) => {
  let clone: Checkout;
  let stack: TestStack;
  let port: number;
  let cachePort: number;

  const sections = (database: object = {}): Sections => ({
    settings: { in: runtime },
    services: {
      db: { kind: "postgres", database: "app", port, ...database },
      cache: { kind: "redis", role: "broker", port: cachePort, data: "disposable" },
      migrate: {
        kind: "job",
        build: "./examples/apps/api",
        command: ["alembic", "upgrade", "head"],
        env: { DATABASE_URL: "${db.url}" },
      },
    },
  });

  beforeAll(async () => {
    clone = checkout();
    port = await freePort();
    cachePort = await freePort();
    stack = testStack(clone, "kept", sections());
    await up();
    await query(`INSERT INTO questions (text, status, attempts) VALUES ('kept?', 'queued', 0)`);
  });

  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    clone[Symbol.dispose]();
  });

  async function up(driver = engineroom): Promise<void> {
    const ended = await driver.run(stack, "up");
    expect(ended.exitCode, ended.output).toBe(0);
  }

  const password = (): string => stack.password("db");

  async function query(text: string): Promise<readonly unknown[]> {
    const client = new Client({ host: "127.0.0.1", port, user: "app", database: "app", password: password() });
    await client.connect();
    try {
      return (await client.query<object>(text)).rows;
    } finally {
      await client.end();
    }
  }

  const kept = (): Promise<readonly unknown[]> => query("SELECT text FROM questions");

  it("keeps its generated password and its rows through a change, by either driver", async () => {
    if (runtime === "container")
      expect((await stack.holdings()).volumes).toEqual(["cache", "db"].map((name) => `${stack.name}-${name}`));
    const [before, { db, cache }] = [password(), await stack.running()];
    stack.write(sections({ maxConnections: 50 }));
    await up(pulumi);
    const after = await stack.running();
    expect(after["db"]).not.toEqual(db);
    expect(after["cache"]).toEqual(cache);
    expect(password()).toBe(before);
    expect(await kept()).toEqual([{ text: "kept?" }]);
    const preview = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(preview.exitCode, preview.output).toBe(0);
  });

  it("keeps its rows when the state is new, and has a new password", async () => {
    const before = password();
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    const { dataDir } = stack.places;
    expect(existsSync(dataDir) ? readdirSync(dataDir) : []).toEqual(runtime === "host" ? ["db"] : []);
    expect(await stack.holdings()).toEqual({ ...NOTHING, volumes: runtime === "host" ? [] : [`${stack.name}-db`] });
    const removed = await pulumiCommand(stack, "stack", "rm", stack.name, "--force", "--yes", "--preserve-config");
    expect(removed.exitCode, removed.output).toBe(0);
    rmSync(stack.places.backendDir, { recursive: true });
    rmSync(stack.places.passphraseFile);

    stack.write(sections());
    await up();
    expect(password()).not.toBe(before);
    expect(await kept()).toEqual([{ text: "kept?" }]);
  });

  /** As far as somebody may get past engineroom. */
  async function wipe(): Promise<void> {
    if (runtime === "container") {
      await engine({ method: "DELETE", path: `/containers/${stack.name}-db`, query: { force: "1" } });
      await engine({ method: "DELETE", path: `/volumes/${stack.name}-db` });
      return;
    }
    const { db } = await stack.pids();
    rmSync(join(stack.places.dataDir, "db", "pgdata"), { recursive: true });
    signal(db!, "SIGKILL");
    await until("another database to be there", async () => {
      try {
        return await query("SELECT 1");
      } catch {
        return undefined;
      }
    });
    await expect(kept()).rejects.toThrow('relation "questions" does not exist');
  }

  it("is migrated again when its data was wiped", async () => {
    await wipe();
    const preview = await pulumi.run(stack, "preview");
    expect(preview.output).toContain("migrate: the data of db is not what it ran on");
    await up(pulumi);
    expect(await kept()).toEqual([]);
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });

  itWhere(runtime === "container")("has its image again after that was removed", async () => {
    const [image = ""] = (await stack.holdings()).images;
    await engine({ method: "DELETE", path: `/images/${image}`, query: { force: "1" } });
    expect((await stack.holdings()).images).not.toContain(image);

    const preview = await pulumi.run(stack, "preview");
    expect(preview.exitCode, preview.output).toBe(0);
    expect(preview.output).toMatch(/^ *\+- +docker:index:RemoteImage image-examples\/apps\/api /m);
    await up();
    expect((await stack.holdings()).images).toEqual([image]);
    const again = await pulumi.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });
});
