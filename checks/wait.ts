import { failed, pending } from "#checks/check.ts";
import type { Outcome, Probe, WaitPolicy, WaitReport } from "#checks/check.ts";

// One attempt costs a millisecond or two, and whatever waits longer than needed delays all that depends on it: steps
// are about a tenth of the time so far.
const FIRST_STEP_MS = 25;
const LONGEST_STEP_MS = 150;
const STEP_GROWTH = 1.1;
/** What a probe has for its last words after its limit. */
const GRACE_MS = 100;

/** Time as the loop sees it, so that tests need none. */
export interface Clock {
  /** Milliseconds from any fixed moment. */
  readonly now: () => number;
  /** Calls `fire` once after `ms`; the returned function takes that back. */
  readonly timer: (ms: number, fire: () => void) => () => void;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Called after each attempt that ended `pending`. */
  readonly onPending?: (outcome: Extract<Outcome, { status: "pending" }>, elapsedMs: number) => void;
  readonly clock?: Clock;
}

const systemClock: Clock = {
  now: () => performance.now(),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/**
 * Asks until the outcome is final, the deadline has passed or the caller gives up. Never rejects.
 * An attempt that starts before the deadline has its whole `attemptMs`, so that a slow answer is not cut short and
 * misread: the wait lasts at most `timeoutMs + attemptMs` and a tenth of a second. With `timeoutMs` 0 it asks once.
 */
export async function waitUntilFinal(probe: Probe, policy: WaitPolicy, options: WaitOptions = {}): Promise<WaitReport> {
  const { signal, onPending, clock = systemClock } = options;
  const started = clock.now();
  let outcome: Outcome = pending("not asked yet");
  let step = FIRST_STEP_MS;
  for (let attempts = 0; ;) {
    const answer = signal?.aborted ? undefined : await attempt(probe, policy.attemptMs, clock, signal);
    const elapsedMs = clock.now() - started;
    if (answer === undefined) return { outcome, attempts, elapsedMs, cancelled: true };
    attempts += 1;
    outcome = answer;
    if (outcome.status !== "pending") return { outcome, attempts, elapsedMs };
    onPending?.(outcome, elapsedMs);
    const leftMs = policy.timeoutMs - elapsedMs;
    if (leftMs <= 0) return { outcome, attempts, elapsedMs };
    await sleep(Math.min(step, leftMs), clock, signal);
    step = Math.min(step * STEP_GROWTH, LONGEST_STEP_MS);
  }
}

/** One attempt under its own limit; undefined when the caller gave up meanwhile. */
async function attempt(
  probe: Probe,
  limitMs: number,
  clock: Clock,
  outer: AbortSignal | undefined,
): Promise<Outcome | undefined> {
  const limit = new AbortController();
  const stopped = Promise.withResolvers<Outcome | undefined>();
  const words = `no answer within ${(limitMs / 1000).toFixed(1)} s`;
  let disarm = clock.timer(limitMs, () => {
    limit.abort(new Error(words));
    // The probe names the place in its words; one that ignores its signal must not hold the loop.
    disarm = clock.timer(GRACE_MS, () => {
      stopped.resolve(pending(words));
    });
  });
  const cancel = () => {
    limit.abort();
    stopped.resolve(undefined);
  };
  outer?.addEventListener("abort", cancel);
  try {
    return await Promise.race([stopped.promise, probe(limit.signal)]);
  } catch (error) {
    return failed(`the check itself broke: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    disarm();
    outer?.removeEventListener("abort", cancel);
  }
}

function sleep(ms: number, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      disarm();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const disarm = clock.timer(ms, done);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
