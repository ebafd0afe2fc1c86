import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkout } from "../support/checkout.ts";
import { engineroom } from "../support/driver.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { freePort } from "../support/ports.ts";
import { allProcesses } from "../support/processes.ts";
import { runIn, testStack } from "../support/test-stack.ts";

foreignersStayUntouched();

const NOBODY = 65_534;
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
const mayBecomeNobody = spawnSync(AS_NOBODY[0]!, [...AS_NOBODY.slice(1), "true"]).status === 0;

/** When the tests run as a plain user, all of them prove this. */
it.skipIf(!mayBecomeNobody)("a plain user's stack comes up, below their home (needs root, to become one)", async () => {
  using clone = checkout();
  const home = join(clone.base, "home");
  mkdirSync(home);
  const { ENGINEROOM_STATE_HOME: _ours, ...env } = clone.env;
  const theirs = { ...clone, env: { ...env, HOME: home } };
  await using stack = testStack(theirs, "user", {
    services: {
      db: { kind: "postgres", database: "app", port: await freePort() },
      quiet: { kind: "process", needs: ["db"], command: ["sleep", "100000"] },
    },
  });
  execFileSync("chown", ["-RhP", `${NOBODY}:${NOBODY}`, clone.base]);
  const run = async (...argv: readonly string[]): Promise<string> => {
    const { exitCode, output } = await runIn(theirs, [...AS_NOBODY, ...argv]);
    expect(exitCode, output).toBe(0);
    return output;
  };
  try {
    await run(...engineroom.argv(stack, "up"));
    await run(...engineroom.argv(stack, "preview", "--expect-no-changes"));
    const own = allProcesses().filter(({ env: variables }) =>
      variables.some((one) => one === "ENGINEROOM_SERVICE=quiet"),
    );
    const ours = own.filter(({ cwd }) => cwd.startsWith(join(home, ".local/state/engineroom/")));
    expect(ours.map(({ pid }) => statSync(`/proc/${pid}`).uid)).toEqual([NOBODY]);
  } finally {
    await run(...engineroom.argv(stack, "destroy"));
  }
});
