import { describe, expect, it } from "vitest";
import { auditText } from "#cli/workers.ts";
import { judgeBroker, type BrokerVerdict, type Consumer } from "#operations/judge-workers.ts";
import type { WorkersAudit } from "#operations/workers.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");

const own: Consumer = {
  owner: "own",
  service: "worker",
  framework: "dramatiq",
  pid: 10,
  processes: 2,
  container: null,
  address: "127.0.0.1",
  command: "python dramatiq app.tasks",
  cwd: "/srv/app",
  startedAt: "2026-01-02T03:04:01Z",
  claims: null,
};
const foreign = (processes: number, more: Partial<Consumer> = {}): Consumer => ({
  ...own,
  owner: "foreign",
  service: null,
  pid: 20,
  processes,
  ...more,
});
/** One Dramatiq worker with one process, as a small stack has it. */
const declared = [{ name: "worker", kind: "dramatiq-worker", consumes: { broker: "broker", processes: 3 } }];

const judge = (consumers: readonly Consumer[], more: Partial<Parameters<typeof judgeBroker>[0]> = {}) =>
  judgeBroker({ declared, consumers, sharedNames: [], ...more });

describe("judgeBroker", () => {
  const strays = "1 program that no service of the stack runs";
  it.each<[string, readonly Consumer[], Pick<BrokerVerdict, "verdict" | "reasons">]>([
    ["its own alone", [own], { verdict: "good", reasons: [] }],
    ["as many of its own as declared", [{ ...own, processes: 3 }], { verdict: "good", reasons: [] }],
    [
      "four processes, all its own",
      [{ ...own, processes: 4 }],
      { verdict: "warning", reasons: ["4 processes of Dramatiq where 3 are declared"] },
    ],
    ["three with a stranger's", [own, foreign(1)], { verdict: "warning", reasons: [strays] }],
    [
      "five with a stranger's",
      [own, foreign(3)],
      { verdict: "warning", reasons: ["5 processes of Dramatiq where 3 are declared", strays] },
    ],
    [
      "six with a stranger's",
      [own, foreign(4)],
      { verdict: "critical", reasons: ["6 processes of Dramatiq where 3 are declared", strays] },
    ],
    [
      "what a dead supervisord has left",
      [{ ...own, owner: "left-over" }],
      { verdict: "warning", reasons: [strays, "worker does not consume"] },
    ],
    [
      "strangers of another framework, which compete with nobody",
      [own, foreign(2, { framework: "celery" })],
      { verdict: "warning", reasons: ["2 processes of Celery where 0 are declared", strays] },
    ],
    [
      "a stranger behind a proxy",
      [own, foreign(1, { framework: null })],
      { verdict: "warning", reasons: ["1 process of unknown workers where 0 are declared", strays] },
    ],
    [
      "a service of its own that is no worker by its kind",
      [own, { ...own, service: "poller", framework: "other", processes: 9 }],
      { verdict: "good", reasons: [] },
    ],
    ["nobody", [], { verdict: "warning", reasons: ["worker does not consume"] }],
  ])("%s", (_what, consumers, expected) => expect(judge(consumers)).toMatchObject(expected));

  it("allows as many more as are declared", () => {
    const consumes = { broker: "broker", processes: 5 };
    expect(judge([{ ...own, processes: 5 }], { declared: [{ ...declared[0]!, consumes }] })).toEqual({
      verdict: "good",
      reasons: [],
      processes: 5,
      expected: 5,
    });
  });

  it("is alarmed by nodes of one name", () =>
    expect(judge([own], { sharedNames: ["a@b"] })).toMatchObject({
      verdict: "critical",
      reasons: ["several nodes of Celery are called a@b, and answer as one"],
    }));

  it("expects nothing where nothing is declared", () =>
    expect(judge([], { declared: [] })).toEqual({ verdict: "good", reasons: [], processes: 0, expected: 0 }));
});

describe("what workers prints", () => {
  const audit = (consumers: readonly Consumer[]): WorkersAudit => {
    const judged = judge(consumers);
    const broker = { service: "broker", address: "127.0.0.1:6379", ...judged, consumers };
    return { stack: "lab", verdict: judged.verdict, brokers: [broker] };
  };
  const container = { id: "0123456789abcdef", name: "their-worker", image: "theirs:1" };

  it("is a line for each program, below what is wrong", () =>
    expect(
      auditText(
        audit([own, foreign(3, { claims: "abc/lab" }), foreign(1, { framework: null, pid: null, container })]),
        NOW,
        false,
      ),
    ).toMatchInlineSnapshot(`
      "broker (127.0.0.1:6379): warning, 6 processes consume, at most 3 are declared
        5 processes of Dramatiq where 3 are declared
        1 process of unknown workers where 0 are declared
        2 programs that no service of the stack runs
      OWNER    SERVICE           WORKER    PID  PROCESSES  SINCE  WHERE                        COMMAND
      own      worker            dramatiq  10   2          4 s    /srv/app                     python dramatiq app.tasks
      foreign  (claims abc/lab)  dramatiq  20   3          4 s    /srv/app                     python dramatiq app.tasks
      foreign                    unknown        1          4 s    their-worker (0123456789ab)  python dramatiq app.tasks
      "
    `));

  it("without consumers is no table", () =>
    expect(auditText(audit([]), NOW, false)).toBe(
      "broker (127.0.0.1:6379): warning, 0 processes consume, at most 3 are declared\n  worker does not consume\n",
    ));

  it("says when there is no broker", () =>
    expect(auditText({ stack: "lab", verdict: "good", brokers: [] }, NOW, false)).toBe("stack lab has no broker\n"));
});
