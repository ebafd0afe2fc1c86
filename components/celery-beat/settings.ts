import { z } from "zod";
import { applicationSettings, commonSettings, dataSettings } from "#stack/schema.ts";
import { pythonObject } from "../broker.ts";

export const celeryBeatSettings = z.strictObject({
  kind: z.literal("celery-beat"),
  ...commonSettings,
  ...dataSettings,
  ...applicationSettings,
  /** Python module of the Celery application whose schedule it keeps, as `-A` takes it. */
  app: pythonObject,
  loglevel: z.enum(["debug", "info", "warning", "error", "critical"]).default("info"),
});
