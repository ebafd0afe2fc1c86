import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { brokerOf } from "../broker.ts";
import { BROKER_VARIABLE } from "../celery-worker/plan.ts";
import { APPLICATION_MEMORY, defineKind, type KindPlan, type PlanContext, type ResolvedSettings } from "../kind.ts";
import { celeryBeatSettings } from "./settings.ts";

type Settings = z.output<typeof celeryBeatSettings>;

/** Where its volume goes; images that `build` makes have this directory for their user. */
const DATA = "/data";

function plan(settings: ResolvedSettings<Settings>, context: PlanContext): KindPlan | Problem {
  const broker = brokerOf(context, { env: settings.env, variable: BROKER_VARIABLE });
  if ("code" in broker) return broker;
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : DATA;
  const pidFile = onHost ? `${context.places.runDir}/${context.name}/beat.pid` : "/tmp/beat.pid";
  const application = settings.build ?? settings.image ?? settings.cwd ?? "";
  return {
    argv: [
      ...["celery", "-A", settings.app, "beat", "-s", `${data}/celerybeat-schedule`, "--pidfile", pidFile],
      // The check looks for a beat that wakes; Celery's own limit is five minutes.
      ...["--max-interval", "1", "-l", settings.loglevel.toUpperCase()],
    ],
    ...(settings.cwd && { cwd: settings.cwd }),
    directories: onHost ? [data, `${context.places.runDir}/${context.name}`] : [],
    check: { kind: "celery-beat", ...broker.check, pidFile },
    readyTimeoutMs: 60_000,
    drains: true,
    claims: [
      {
        key: `celery beat ${settings.app} ${application} on ${broker.name}`,
        setting: "app",
        code: "BEAT_TWICE",
        expected: "one celery-beat for an application: two send every task twice",
        got: `\`${settings.app}\``,
        fix: `remove services.${context.name}`,
      },
    ],
    container: { volume: DATA, memoryBytes: APPLICATION_MEMORY / 2 },
  };
}

export const celeryBeat = defineKind<Settings>({
  settings: celeryBeatSettings,
  className: "CeleryBeat",
  outputs: () => ({}),
  plan,
});
