import { basename, resolve } from "node:path";
import type { z } from "zod";
import type { Check } from "#checks/check.ts";
import type { Address } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { secretsIn, type Text } from "#stack/text.ts";
import {
  APPLICATION_MEMORY,
  defineKind,
  healthWithoutPort,
  httpOutputs,
  type KindPlan,
  type PlanContext,
  type ResolvedSettings,
} from "../kind.ts";
import { containerSettings } from "./settings.ts";

type Settings = z.output<typeof containerSettings>;

function outputs({ port, ports }: Settings, { name }: PlanContext, at: Address): Readonly<Record<string, Text>> {
  const isInside = at.host === name;
  const more = Object.entries(ports).flatMap(([word, { port, containerPort = port }]) => {
    const reached = String(isInside ? containerPort : port);
    return [
      [`${word}Port`, [reached]],
      [`${word}Url`, [`http://${at.host}:${reached}`]],
    ] as const;
  });
  return { ...(port !== undefined && httpOutputs(at)), ...Object.fromEntries(more) };
}

function plan(settings: ResolvedSettings<Settings>, context: PlanContext): KindPlan | Problem {
  const problem = problemOf(settings, context);
  if (problem) return problem;
  const { command = [], args, volumes, files, mounts } = settings;
  return {
    argv: command,
    files: Object.entries(files).map(([mountAt, content], index) => ({
      path: `${index}-${basename(mountAt)}`,
      mode: "0444",
      content,
      mountAt,
    })),
    check: checkOf(settings, context),
    readyTimeoutMs: 120_000,
    container: {
      moreVolumes: volumes,
      ...(args && { args }),
      mounts: Object.fromEntries(
        Object.entries(mounts).map(([path, from]) => [path, resolve(context.places.projectDir, from)]),
      ),
      memoryBytes: APPLICATION_MEMORY,
    },
  };
}

function checkOf({ ready, health, port }: ResolvedSettings<Settings>, { at }: PlanContext): Check {
  if (ready.command) return { kind: "command", argv: ready.command };
  if (health !== undefined) return { kind: "http", url: `http://${at.host}:${at.port}${health}` };
  return port === undefined ? { kind: "alive", seconds: 2 } : { kind: "tcp", ...at, isDirect: false };
}

/** The repository is archived; docs/decisions/0009-object-store.md. */
const MINIO = /^(docker\.io\/)?minio\/minio([:@]|$)/;

function problemOf(settings: ResolvedSettings<Settings>, context: PlanContext): Problem | undefined {
  const { name } = context;
  const { image, health, port, command, args, env } = settings;
  if (MINIO.test(image)) {
    return {
      code: "IMAGE_DEAD",
      where: `services.${name}.image`,
      expected: "an image that is kept up to date",
      got: `\`${image}\`: its makers ended it in February 2026, with holes that are known`,
      fix: "take kind object-store, or another S3 server",
    };
  }
  if (health !== undefined && port === undefined) return healthWithoutPort(context);
  if (command && args) {
    return {
      code: "COMMAND_AND_ARGS",
      where: `services.${name}.args`,
      expected: "one of `command` and `args`",
      got: "both",
      fix: "remove one; `command` has all arguments, the program first",
    };
  }
  const hidden = Object.entries(env).find(([, text]) => secretsIn(text).length > 0);
  if (!hidden || command) return undefined;
  return {
    code: "SECRET_NEEDS_COMMAND",
    where: `services.${name}.env.${hidden[0]}`,
    expected: "a `command` beside it: a script sets variables that hold secrets, and must know what to become",
    got: "a secret for the image's own entry point",
    fix: `set services.${name}.command to what \`docker image inspect ${image}\` shows as Entrypoint and Cmd, or hand it over by \`files\``,
  };
}

export const container = defineKind<Settings>({
  settings: containerSettings,
  className: "Container",
  imageOnly: true,
  morePorts: ({ ports }) =>
    Object.entries(ports).map(([word, { port, containerPort = port }]) => ({
      key: `ports.${word}.port`,
      port,
      inside: containerPort,
    })),
  outputs,
  plan,
});
