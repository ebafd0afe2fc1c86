import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "forks",
    projects: [
      { extends: true, test: { name: "unit", include: ["tests/unit/**/*.test.ts"] } },
      { extends: true, test: { name: "property", include: ["tests/property/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          globalSetup: "tests/support/foreign.ts",
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // Most of their time is waiting; each file has a checkout, ports and stacks of its own.
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: { name: "toolchain", include: ["tests/toolchain/**/*.test.ts"], testTimeout: 120_000 },
      },
    ],
  },
});
