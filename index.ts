// First: what it defers is loaded with the SDK otherwise.
import "#setup/toolchain/dynamic/defer-unused.cjs";
import * as pulumi from "@pulumi/pulumi";
import { leftOut, preflight } from "#checks/preflight.ts";
import { lookAround, openStack } from "#observe/world.ts";
import { explainFollowUps, noteInterrupt } from "#runtime/failures.ts";
import { buildLogs, publicOutputs, registerStack } from "#runtime/program.ts";
import { problemReport } from "#stack/problems.ts";
import { stackFileName } from "#stack/file.ts";
import { stackConfig } from "#runtime/config.ts";

const stack = pulumi.getStack();
const opened = openStack({ config: stackConfig(), stack, projectDir: process.cwd(), env: process.env });
if ("problems" in opened) throw new pulumi.RunError(problemReport(stackFileName(stack), opened.problems));

const world = await lookAround(opened);
const problems = await preflight(world);
if (problems.length > 0) throw new pulumi.RunError(problemReport(`The world around stack ${stack}`, problems));

// Pulumi takes a stack trace for each property of each resource: a third of the whole time with many services.
Error.stackTraceLimit = 0;
explainFollowUps(buildLogs(world.plan));
const interrupt = noteInterrupt();
(await registerStack(world, await leftOut(world))).apply(interrupt.end);

export const services = publicOutputs(world.plan.services);
