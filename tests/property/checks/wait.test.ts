import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome, Probe } from "#checks/check.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { VirtualClock } from "#tests/support/virtual-clock.ts";

const GRACE_MS = 100;

interface Step {
  readonly outcome: Outcome;
  /** How long the probe takes, or how late it notices its signal. */
  readonly ms: number;
  readonly obeys: boolean;
}

const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.string().map(pending) },
  { weight: 1, arbitrary: fc.string().map(ready) },
  { weight: 1, arbitrary: fc.string().map((reason) => failed(reason)) },
);
// Even here and odd there, so that an answer and a limit never fall on one moment.
const step = fc.record({ outcome, ms: fc.nat(1500).map((n) => n * 2), obeys: fc.boolean() });
const policy = fc.record({ timeoutMs: fc.nat(20_000), attemptMs: fc.nat(1000).map((n) => n * 2 + 1) });

/** Plays the steps, then the last one again and again. */
function play(clock: VirtualClock, steps: readonly [Step, ...Step[]], seen: Step[]): Probe {
  return async (signal) => {
    const current = steps[Math.min(seen.length, steps.length - 1)] ?? steps[0];
    seen.push(current);
    await clock.sleep(current.ms);
    return signal.aborted && current.obeys ? pending("late") : current.outcome;
  };
}

describe("waitUntilFinal", () => {
  it("never lasts longer than its time and one attempt, and stops at the first final outcome", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), policy, async (steps, limits) => {
        const clock = new VirtualClock();
        const [first, ...others] = steps;
        if (first === undefined) return;
        const seen: Step[] = [];
        const report = await clock.run(waitUntilFinal(play(clock, [first, ...others], seen), limits, { clock }));
        expect(report.elapsedMs).toBeLessThanOrEqual(limits.timeoutMs + limits.attemptMs + GRACE_MS);
        expect(report.attempts).toBe(seen.length);
        const inTime = ({ ms, obeys }: Step) => ms < limits.attemptMs + (obeys ? 0 : GRACE_MS);
        const final = seen.findIndex((played) => played.outcome.status !== "pending" && inTime(played));
        if (final >= 0) expect(report.attempts).toBe(final + 1);
        if (report.outcome.status === "pending") expect(report.elapsedMs).toBeGreaterThanOrEqual(limits.timeoutMs);
      }),
    );
  });

  it("ends at once when it is cancelled, whenever that is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1 }), policy, fc.nat(30_000), async (steps, limits, at) => {
        const clock = new VirtualClock();
        const [first, ...others] = steps;
        if (first === undefined) return;
        const cancel = new AbortController();
        clock.timer(at, () => {
          cancel.abort();
        });
        const probe = play(clock, [first, ...others], []);
        const report = await clock.run(waitUntilFinal(probe, limits, { clock, signal: cancel.signal }));
        if (report.cancelled) expect(report.elapsedMs).toBe(at);
        else expect(report.elapsedMs).toBeLessThanOrEqual(at);
      }),
    );
  });
});
