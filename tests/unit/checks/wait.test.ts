import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome, Probe } from "#checks/check.ts";
import { waitUntilFinal } from "#checks/wait.ts";
import { VirtualClock } from "#tests/support/virtual-clock.ts";

const policy = { timeoutMs: 10_000, attemptMs: 1000 };

/** Answers with one outcome after the other, the last one again and again, each after `ms`. */
function script(clock: VirtualClock, outcomes: readonly Outcome[], ms = 0): Probe {
  let index = 0;
  return async () => {
    await clock.sleep(ms);
    const outcome = outcomes[Math.min(index, outcomes.length - 1)] ?? pending("nothing");
    index += 1;
    return outcome;
  };
}

/** Milliseconds between two attempts of a wait of 3 s, rounded. */
const STEPS = [
  25, 28, 30, 33, 37, 40, 44, 49, 53, 59, 65, 72, 78, 86, 95, 105, 115, 126, 139, 150, 150, 150, 150, 150, 150, 150,
  150, 150, 150, 150, 71,
];

describe("waitUntilFinal", () => {
  it("ends at the first ready", async () => {
    const clock = new VirtualClock();
    const probe = script(clock, [pending("a"), pending("b"), ready("c"), failed("d")]);
    const report = await clock.run(waitUntilFinal(probe, policy, { clock }));
    expect(report).toMatchObject({ outcome: ready("c"), attempts: 3 });
    expect(report.elapsedMs).toBeCloseTo(25 + 27.5);
  });

  it("ends at the first failed", async () => {
    const clock = new VirtualClock();
    const probe = script(clock, [pending("a"), failed("wrong password", "this"), ready("c")]);
    const report = await clock.run(waitUntilFinal(probe, policy, { clock }));
    expect(report).toEqual({ outcome: failed("wrong password", "this"), attempts: 2, elapsedMs: 25 });
  });

  it("asks in steps that grow from 25 to 150 ms, and once more at the deadline", async () => {
    const clock = new VirtualClock();
    const asked: number[] = [];
    const probe = () => {
      asked.push(Math.round(clock.now()));
      return Promise.resolve(pending("no"));
    };
    const report = await clock.run(waitUntilFinal(probe, { timeoutMs: 3000, attemptMs: 1000 }, { clock }));
    const steps = asked.slice(1).map((ms, index) => ms - (asked[index] ?? 0));
    expect(steps).toEqual(STEPS);
    expect(asked.at(-1)).toBe(3000);
    expect(report).toEqual({ outcome: pending("no"), attempts: STEPS.length + 1, elapsedMs: 3000 });
  });

  it("asks once when it may not wait", async () => {
    const clock = new VirtualClock();
    const probe = script(clock, [pending("a"), ready("b")], 300);
    const report = await clock.run(waitUntilFinal(probe, { timeoutMs: 0, attemptMs: 1000 }, { clock }));
    expect(report).toEqual({ outcome: pending("a"), attempts: 1, elapsedMs: 300 });
  });

  it("ends an attempt at its limit, and the probe words it", async () => {
    const clock = new VirtualClock();
    const probe: Probe = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          resolve(pending(`db gave ${(signal.reason as Error).message}`));
        });
      });
    const report = await clock.run(waitUntilFinal(probe, { timeoutMs: 1500, attemptMs: 1000 }, { clock }));
    expect(report.outcome).toEqual(pending("db gave no answer within 1.0 s"));
    expect(report).toMatchObject({ attempts: 2, elapsedMs: 2025 });
  });

  it("does not let a probe hold it that ignores its signal", async () => {
    const clock = new VirtualClock();
    const probe: Probe = () => new Promise(() => undefined);
    const report = await clock.run(waitUntilFinal(probe, { timeoutMs: 0, attemptMs: 1000 }, { clock }));
    expect(report).toEqual({ outcome: pending("no answer within 1.0 s"), attempts: 1, elapsedMs: 1100 });
  });

  it("takes a probe that throws or rejects as failed", async () => {
    const clock = new VirtualClock();
    const throwing: Probe = () => {
      throw new Error("typo");
    };
    const rejecting: Probe = () => Promise.reject(new Error("typo"));
    for (const probe of [throwing, rejecting])
      expect((await clock.run(waitUntilFinal(probe, policy, { clock }))).outcome).toEqual(
        failed("the check itself broke: typo"),
      );
  });

  it("tells of each pending attempt and its time", async () => {
    const clock = new VirtualClock();
    const told: [string, number][] = [];
    const probe = script(clock, [pending("a"), pending("b"), ready("c")]);
    const onPending = (outcome: { reason: string }, ms: number) => told.push([outcome.reason, ms]);
    await clock.run(waitUntilFinal(probe, policy, { clock, onPending }));
    expect(told).toEqual([
      ["a", 0],
      ["b", 25],
    ]);
  });

  it("stops during an attempt when it is cancelled, and keeps the last reason", async () => {
    const clock = new VirtualClock();
    const cancel = new AbortController();
    const signals: AbortSignal[] = [];
    const probe: Probe = (signal) => {
      signals.push(signal);
      return signals.length === 1 ? Promise.resolve(pending("starting up")) : new Promise(() => undefined);
    };
    clock.timer(400, () => {
      cancel.abort();
    });
    const report = await clock.run(waitUntilFinal(probe, policy, { clock, signal: cancel.signal }));
    expect(report).toEqual({ outcome: pending("starting up"), attempts: 1, elapsedMs: 400, cancelled: true });
    expect(signals.at(-1)?.aborted).toBe(true);
  });

  it("stops during a pause when it is cancelled", async () => {
    const clock = new VirtualClock();
    const cancel = new AbortController();
    clock.timer(20, () => {
      cancel.abort();
    });
    const probe = script(clock, [pending("starting up")]);
    const report = await clock.run(waitUntilFinal(probe, policy, { clock, signal: cancel.signal }));
    expect(report).toEqual({ outcome: pending("starting up"), attempts: 1, elapsedMs: 20, cancelled: true });
  });

  it("does not ask at all when it was cancelled before", async () => {
    const clock = new VirtualClock();
    const probe = script(clock, [ready("never")]);
    const report = await clock.run(waitUntilFinal(probe, policy, { clock, signal: AbortSignal.abort() }));
    expect(report).toEqual({ outcome: pending("not asked yet"), attempts: 0, elapsedMs: 0, cancelled: true });
  });

  it("works on the system's clock", async () => {
    let attempts = 0;
    const probe: Probe = () => Promise.resolve((attempts += 1) < 2 ? pending("a") : ready("b"));
    const report = await waitUntilFinal(probe, policy);
    expect(report.outcome).toEqual(ready("b"));
    expect(report.elapsedMs).toBeGreaterThanOrEqual(24);
    expect(report.elapsedMs).toBeLessThan(1000);
  });
});
