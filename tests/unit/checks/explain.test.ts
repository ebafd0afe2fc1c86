import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import { explain, redact } from "#checks/explain.ts";

describe("explain", () => {
  it("words a wait that ran out of time", () => {
    const report = { outcome: pending("127.0.0.1:5432 refused the connection"), attempts: 118, elapsedMs: 60_010 };
    expect(explain("db", report, { fix: "./engineroom logs db" })).toBe(
      "db: not ready after 60.0 s (118 attempts). Last: 127.0.0.1:5432 refused the connection. Fix: ./engineroom logs db",
    );
  });

  it("words one attempt, and a wait that was cancelled", () => {
    const report = { outcome: pending("not asked yet"), attempts: 1, elapsedMs: 1234 };
    expect(explain("db", report)).toBe("db: not ready after 1.2 s (1 attempt). Last: not asked yet.");
    expect(explain("db", { ...report, cancelled: true })).toBe(
      "db: interrupted after 1.2 s (1 attempt). Last: not asked yet.",
    );
  });

  it("words a failure with its own fix before the caller's", () => {
    const outcome = failed("127.0.0.1:5432 refused the login of app", "correct the password file");
    expect(explain("db", { outcome, attempts: 1, elapsedMs: 20 }, { fix: "other" })).toBe(
      "db: 127.0.0.1:5432 refused the login of app. Fix: correct the password file",
    );
    expect(explain("db", { outcome: failed("it is gone."), attempts: 1, elapsedMs: 20 }, { fix: "other" })).toBe(
      "db: it is gone. Fix: other",
    );
  });

  it("words success", () => {
    expect(explain("db", { outcome: ready("a row was selected"), attempts: 3, elapsedMs: 950 })).toBe(
      "db: ready after 0.9 s. a row was selected",
    );
  });

  it("appends the last 20 log lines, indented", () => {
    const log = Array.from({ length: 25 }, (_, i) => `line ${i + 1}`);
    const text = explain("db", { outcome: failed("it ended"), attempts: 1, elapsedMs: 20 }, { log });
    const lines = text.split("\n");
    expect(lines.slice(0, 3)).toEqual(["db: it ended.", "  Last 20 log lines:", "    line 6"]);
    expect(lines).toHaveLength(22);
    expect(lines.at(-1)).toBe("    line 25");
  });

  it("counts one log line as one", () => {
    const report = { outcome: failed("it ended"), attempts: 1, elapsedMs: 20 };
    expect(explain("db", report, { log: ["bye"] })).toBe("db: it ended.\n  Last log line:\n    bye");
  });
});

describe("redact", () => {
  it("leaves nothing of a secret that holds another", () => {
    expect(redact("a=pass b=password", ["pass", "password", ""])).toBe("a=(secret) b=(secret)");
  });

  it("takes a secret literally", () => {
    expect(redact("x $& .* y", [".*", "$&"])).toBe("x (secret) (secret) y");
  });
});
