import type { Clock } from "#checks/wait.ts";

/** A clock that moves only by `advance` and by itself to the next timer when nothing else is left to do. */
export class VirtualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>();

  readonly now = (): number => this.#now;

  readonly timer = (ms: number, fire: () => void): (() => void) => {
    const timer = { at: this.#now + ms, fire };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  };

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.timer(ms, resolve);
    });
  }

  /** Fires one timer after the other until `work` has settled. */
  async run<T>(work: Promise<T>): Promise<T> {
    const state = { settled: false };
    const mark = () => {
      state.settled = true;
    };
    work.then(mark, mark);
    for (;;) {
      // Promises that are ready go first.
      await new Promise((resolve) => setImmediate(resolve));
      if (state.settled) return work;
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined) throw new Error("nothing is left to wait for, but the work has not settled");
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
  }
}
