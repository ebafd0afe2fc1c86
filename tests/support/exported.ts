import { expect } from "vitest";
import { pulumiCommand } from "./driver.ts";
import type { TestStack } from "./test-stack.ts";

interface Deployment {
  readonly resources?: readonly { readonly urn: string }[];
  readonly pending_operations?: readonly unknown[];
}

/** The state as `pulumi stack export` prints it; that it can be read is part of the test. */
export async function exported(stack: TestStack): Promise<Required<Deployment>> {
  const { exitCode, stdout, output } = await pulumiCommand(stack, "stack", "export");
  expect(exitCode, output).toBe(0);
  const { deployment } = JSON.parse(stdout) as { readonly deployment: Deployment };
  return { resources: deployment.resources ?? [], pending_operations: deployment.pending_operations ?? [] };
}
