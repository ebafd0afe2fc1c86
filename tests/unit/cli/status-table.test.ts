import { describe, expect, it } from "vitest";
import { ago, statusTable } from "#cli/status-table.ts";
import type { ServiceStatus } from "#operations/status.ts";

const service = (more: Partial<ServiceStatus>): ServiceStatus => ({
  name: "db",
  kind: "postgres",
  in: "host",
  state: "ready",
  ready: true,
  reason: null,
  url: null,
  containerId: null,
  pid: 12,
  ports: [{ host: "127.0.0.1", port: 5432 }],
  memoryBytes: 2 ** 25,
  restarts: 0,
  since: "2026-01-01T00:00:00.000Z",
  ...more,
});

describe("statusTable", () => {
  it("shows each service on a line", () => {
    const services = [
      service({}),
      service({
        name: "api",
        kind: "web",
        state: "failed",
        ready: false,
        reason: "gave up",
        url: "http://127.0.0.1:8000",
        pid: null,
        memoryBytes: null,
        restarts: 5,
      }),
      service({
        name: "off",
        kind: "job",
        state: "disabled",
        ready: false,
        pid: null,
        ports: [],
        memoryBytes: null,
        since: null,
      }),
    ];
    const text = statusTable({ stack: "x", ready: false, services }, Date.parse("2026-01-01T00:02:00Z"), false);
    expect(text).toBe(
      [
        "stack x: not ready (1 of 2 services)",
        "",
        "SERVICE  KIND      STATE     ADDRESS                PID  MEMORY  RESTARTS  SINCE  REASON",
        "db       postgres  ready     127.0.0.1:5432         12   32 MiB            2 min",
        "api      web       failed    http://127.0.0.1:8000               5         2 min  gave up",
        "off      job       disabled",
        "",
      ].join("\n"),
    );
  });
});

describe("ago", () => {
  it.each([
    [-5, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [3_600_000, "1 h"],
    [172_800_000, "2 d"],
  ])("of %d ms is %s", (milliseconds, words) => {
    expect(ago(milliseconds)).toBe(words);
  });
});
