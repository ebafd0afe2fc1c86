import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { engineroom, pulumi, pulumiCommand } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { signal } from "../support/processes.ts";
import { testStack, type Sections, type TestStack } from "../support/test-stack.ts";
import { until } from "../support/until.ts";

foreignersStayUntouched();

describe("a database and its migration", () => {
  let clone: Checkout;
  let stack: TestStack;
  let port: number;

  const sections = (database: object = {}): Sections => ({
    services: {
      db: { kind: "postgres", database: "app", port, ...database },
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

  const password = (): string => readFileSync(join(stack.places.servicesDir, "db", "password"), "utf8");

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
    const [before, { db }] = [password(), await stack.pids()];
    stack.write(sections({ maxConnections: 50 }));
    await up(pulumi);
    expect((await stack.pids())["db"]).not.toEqual(db);
    expect(password()).toBe(before);
    expect(await kept()).toEqual([{ text: "kept?" }]);
    const preview = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(preview.exitCode, preview.output).toBe(0);
  });

  it("keeps its rows when the state is new, and has a new password", async () => {
    const before = password();
    const destroyed = await engineroom.run(stack, "destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    const removed = await pulumiCommand(stack, "stack", "rm", stack.name, "--force", "--yes", "--preserve-config");
    expect(removed.exitCode, removed.output).toBe(0);
    rmSync(stack.places.backendDir, { recursive: true });
    rmSync(stack.places.passphraseFile);

    stack.write(sections());
    await up();
    expect(password()).not.toBe(before);
    expect(await kept()).toEqual([{ text: "kept?" }]);
  });

  it("is migrated again when its data was wiped", async () => {
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

    const preview = await pulumi.run(stack, "preview");
    expect(preview.output).toContain("migrate: the data of db is not what it ran on");
    await up(pulumi);
    expect(await kept()).toEqual([]);
    const again = await engineroom.run(stack, "preview", "--expect-no-changes");
    expect(again.exitCode, again.output).toBe(0);
  });
});
