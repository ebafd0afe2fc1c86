import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkout, type Checkout } from "../support/checkout.ts";
import { describeWithDocker } from "../support/docker.ts";
import { engineroom } from "../support/driver.ts";
import { NOTHING } from "../support/engine.ts";
import { foreignersStayUntouched } from "../support/foreign.ts";
import { programsIn } from "../support/light.ts";
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
  const theirs = inHomeOf(clone);
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
    const ours = own.filter(({ cwd }) => cwd.startsWith(join(theirs.env["HOME"] ?? "", ".local/state/engineroom/")));
    expect(ours.map(({ pid }) => statSync(`/proc/${pid}`).uid)).toEqual([NOBODY]);
  } finally {
    await run(...engineroom.argv(stack, "destroy"));
  }
});

describeWithDocker(
  "a plain user who may not speak to the engine",
  () => {
    it("is told so, and what to do", async () => {
      using clone = checkout();
      const theirs = inHomeOf(clone);
      await using stack = testStack(theirs, "no-group", {
        settings: { in: "container" },
        services: { quiet: { kind: "process", ...programsIn("container"), command: ["sleep", "100000"] } },
      });
      execFileSync("chown", ["-RhP", `${NOBODY}:${NOBODY}`, clone.base]);
      for (const verb of ["preview", "up"] as const) {
        const { exitCode, output } = await runIn(theirs, [...AS_NOBODY, ...engineroom.argv(stack, verb)]);
        expect(exitCode, output).toBe(1);
        expect(output).toMatch(
          /Docker engine at unix:\/\/\S+: expected an answer, got no permission \(.*\)\. Fix: sudo usermod -aG docker \$USER, then log in anew/,
        );
        expect(output).toContain("DOCKER_UNREACHABLE");
      }
      expect(await stack.holdings()).toEqual(NOTHING);
    });
  },
  mayBecomeNobody ? undefined : "needs root, to become a plain user",
);

/** The same checkout, with its state below a home directory. */
function inHomeOf(clone: Checkout): Checkout {
  const home = join(clone.base, "home");
  mkdirSync(home);
  const { ENGINEROOM_STATE_HOME: _ours, ...env } = clone.env;
  return { ...clone, env: { ...env, HOME: home } };
}
